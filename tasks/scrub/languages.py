"""Which name engine looks at a row, and which rows no engine can look at."""

from collections.abc import Mapping
from typing import Any

import regex

from configs.settings import ScrubSettings

UNKNOWN = frozenset({"", "und"})
_LETTER = regex.compile(r"\p{L}")
_OTHER = regex.compile(r"(?V1)[\p{L}--\p{Latin}--\p{Han}--\p{Greek}]")
MOST_OTHER, FEW = 0.3, 20  # share and number of letters of other scripts that a row may hold


def model_of(settings: ScrubSettings, language: str) -> str | None:
    """The name engine of a language, or None."""
    found = (chosen.model for chosen in settings.engines if language in chosen.languages)
    return next(found, None)


def latin_model(row: Mapping[str, Any], settings: ScrubSettings) -> str | None:
    """The name engine for what a row says in Latin script: its language's, or the first one for other rows.

    Rows in Chinese, or too short for a language, hold stretches of other languages. None when the settings let rows
    of this language pass with patterns only.
    """
    language = row["language"] or ""
    model = model_of(settings, language)
    if model is None and language not in UNKNOWN:
        return None
    if model is None or language == "zh":
        return next((chosen.model for chosen in settings.engines if "zh" not in chosen.languages), model)
    return model


def refusal(row: Mapping[str, Any], settings: ScrubSettings) -> str | None:
    """Why no name engine can look at a row, or None when one can: names in an unread language would stay."""
    if settings.other_languages == "patterns":
        return None
    language = row["language"] or ""
    if language not in UNKNOWN and model_of(settings, language) is None:
        return f"no name engine for the language {language}"
    text = "\n".join(message["content"] or "" for message in row["messages"] or [])
    other = len(_OTHER.findall(text))
    if other > FEW and other > MOST_OTHER * len(_LETTER.findall(text)):
        return "no name engine for the script it is written in"
    return None
