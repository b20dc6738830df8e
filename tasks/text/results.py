"""What a written answer comes to: the number that is its result, and what stands between fences."""

import re
from fractions import Fraction

FINAL = re.compile(
    r"####\s*(?P<marked>[^\n]+)|\\boxed\{(?P<boxed>[^{}]+)\}|answer is:?\s*(?P<said>[^\n]+)", re.IGNORECASE
)
"""How worked answers name their result: as in GSM8K, as in MATH, and in words."""
NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:/\d+)?")
WORD = re.compile(r"[^\W\d_]{4}")
FENCES = re.compile(r"^```\w*\s*\n|\n?```$")


def result(text: str, *, marked: bool = False) -> str | None:
    """The number that a text comes to: the one that it names as its result, or (unless `marked`) its last one.

    Args:
        text: an answer.
        marked: whether the number has to be named as the result, or be all there is.
    """
    found = FINAL.findall(text)
    named = next((part for part in found[-1] if part), "") if found else ""
    for part in (named.rpartition("=")[2], named):
        if number := NUMBER.search(part):
            return _reduced(number[0])
    numbers = [] if marked and not _bare(text) else NUMBER.findall(text)
    return _reduced(numbers[-1]) if numbers else None


def unfenced(text: str) -> str:
    """A text without the fences around it, if it has some."""
    return FENCES.sub("", text.strip())


def _reduced(number: str) -> str:
    """The same for all ways to write a number: 07 and 7, 0.5 and 1/2."""
    over, _, under = number.replace(",", "").partition("/")
    return str(Fraction(over) / (Fraction(under or 1) or 1))


def _bare(text: str) -> bool:
    """Whether a text is a number and hardly more."""
    return NUMBER.search(text) is not None and WORD.search(text) is None
