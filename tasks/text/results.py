"""What a written answer comes to: the number that is its result, and what stands between fences."""

import re

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
    numbers = NUMBER.findall(named) or ([] if marked and not _bare(text) else NUMBER.findall(text))
    if not numbers:
        return None
    plain: str = (numbers[0] if named and NUMBER.search(named) else numbers[-1]).replace(",", "")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def unfenced(text: str) -> str:
    """A text without the fences around it, if it has some."""
    return FENCES.sub("", text.strip())


def _bare(text: str) -> bool:
    """Whether a text is a number and hardly more."""
    return NUMBER.search(text) is not None and WORD.search(text) is None
