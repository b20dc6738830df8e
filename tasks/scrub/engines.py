"""Name engines: who finds people, places and organisations in running text. One per language, pluggable."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from configs.mistake import Mistake
from configs.settings import NameEngine as Chosen
from configs.settings import ScrubSettings
from tasks.scrub.chinese import chinese_name
from tasks.scrub.finding import Finding
from tasks.scrub.names import SCORE

JIEBA_LABELS = {"nr": "PERSON", "nrt": "PERSON", "nrfg": "PERSON", "ns": "LOCATION", "nt": "ORGANIZATION"}
HAN = re.compile(r"[\u3400-\u9fff]")
LATIN = re.compile(r"[A-Za-z\u00c0-\u024f]")


class MissingEngineError(Mistake):
    """A name engine or its model is not installed; the message says how to get it."""


class NameEngine(Protocol):
    """Finds names in texts of its languages."""

    def find(self, texts: Sequence[str]) -> list[list[Finding]]:
        """The names in each text, in the order of `texts`."""
        ...


class JiebaNames:
    """Chinese words by jieba (its Rust build, which carries the dictionary): the tags of names and places."""

    def __init__(self) -> None:
        import rjieba

        self._tag = rjieba.tag

    def find(self, texts: Sequence[str]) -> list[list[Finding]]:
        return [self._findings(text) for text in texts]

    def _findings(self, text: str) -> list[Finding]:
        findings, start = [], 0
        for word, tag in self._tag(text):
            end = start + len(word)
            label = JIEBA_LABELS.get(tag)
            if label and (label != "PERSON" or chinese_name(word)):
                findings.append(Finding(start, end, label, SCORE))
            start = end
        return findings


@dataclass(frozen=True)
class Library:
    """A kind of name engine.

    Args:
        package: what must be installed for it.
        load: makes an engine of a model and the least score of a name.
    """

    package: str
    load: Callable[[str, float], NameEngine]


def check(settings: ScrubSettings) -> None:
    """See that every engine is installed. Those on PyTorch are loaded, as only that tells whether the model is one.

    Raises:
        MissingEngineError: one is not.
    """
    for chosen in settings.engines:
        library = LIBRARIES[chosen.library]
        for package in (library.package, *(() if chosen.on_torch else (chosen.model,))):
            if not Path(package).is_dir() and find_spec(package) is None:
                raise MissingEngineError(
                    f"scrub.engines: {package} is not installed: `pip install {package.replace('_', '-')}`."
                )
        if chosen.on_torch:
            engine(chosen, settings.threshold)


@lru_cache(maxsize=8)
def engine(chosen: Chosen, threshold: float) -> NameEngine:
    """An engine, loaded once; `threshold` is the least score of a name where the engine gives scores.

    Raises:
        MissingEngineError: there is no such model.
    """
    try:
        return LIBRARIES[chosen.library].load(chosen.model, threshold)
    except (OSError, ValueError) as error:
        raise MissingEngineError(
            f"scrub.engines: {chosen.library} found no model in {chosen.model}; "
            "give the folder of one, or a name on the hub if this machine may reach it."
        ) from error


def _spacy(model: str, _: float) -> NameEngine:
    from tasks.scrub.spacy_names import SpacyNames

    return SpacyNames(model)


def _transformers(model: str, threshold: float) -> NameEngine:
    from tasks.scrub.neural import TokenClassifierNames

    return TokenClassifierNames(model, threshold)


def _gliner(model: str, threshold: float) -> NameEngine:
    from tasks.scrub.neural import GlinerNames

    return GlinerNames(model, threshold)


LIBRARIES = {
    "spacy": Library("spacy", _spacy),
    "jieba": Library("rjieba", lambda *_: JiebaNames()),
    "transformers": Library("transformers", _transformers),
    "gliner": Library("gliner", _gliner),
}
