"""What every name engine's finds go through: edges are cut off, and what can be no name is left out."""

import re
from collections.abc import Iterable

from tasks.scrub.finding import Finding

SCORE = 0.5  # of a name: below that of patterns, which know what they found
_EDGES = re.compile(r"[\W_]*(.*?)(?:\\\\?['’]s?)?[\s\"”“>*|:,;_\\\\-]*$", re.DOTALL)
_CODE = re.compile(r"[_=<>%$\\|+@#{}\[\]]|\w\(|\)\w|\S{25}")
_DATE = re.compile(
    r"\d|(?i:mon|tues|wednes|thurs|fri|satur|sun)day|\b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)",
    re.IGNORECASE,
)
_DURATION = re.compile(
    r"(?i)(?:\D{0,20}\d[\d,.]*)[ -]?(?:second|minute|hour|day|week|month|year|decade|centur)\w*.{0,12}"
)


def names(text: str, found: Iterable[Finding]) -> list[Finding]:
    """Those of `found` that can be what an engine says they are, without quotes, brackets and possessives."""
    bare = (Finding(*_bare(text, f.start, f.end), f.type, f.score) for f in found)
    return [f for f in bare if f.start < f.end and _plausible(f.type, text[f.start : f.end])]


def _plausible(label: str, found: str) -> bool:
    """Whether it can be what the engine says: names hold no signs of code, and "two months" says no date."""
    if label == "DATE_TIME":
        return bool(_DATE.search(found)) and not _DURATION.fullmatch(found)
    return not _CODE.search(found) and not (label == "LOCATION" and len(found) < 3)


def _bare(text: str, start: int, end: int) -> tuple[int, int]:
    """A name without the quote, bullet or bracket before it and the possessive after it."""
    found = _EDGES.match(text, start, end)
    return (found.start(1), found.end(1)) if found else (start, start)
