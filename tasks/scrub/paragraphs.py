"""Cuts texts into what is looked at once: paragraphs for patterns, sentences for names."""

import re
from collections.abc import Iterator

from tasks.scrub.engines import HAN, LATIN

_BLANK_LINE = re.compile(r"\n[ \t]*\n\s*")
_WHOLE = re.compile(r"PRIVATE KEY|PuTTY-User-Key")  # a key may hold blank lines
_SENTENCE = re.compile(r"(?<=[.!?。！？])\s+|\n+|(?<=[。！？])")
_CAPITAL = re.compile(r"(?<!^)(?<![.!?\"'(*\-] )(?<!\n)\b[A-Z\u00c0-\u00de]")
LONGEST = 1000  # characters of a sentence; longer ones are cut at a space
SHORT = 200  # characters of a value that is read together with its name: `password: hunter2`


def paragraphs(text: str) -> Iterator[tuple[int, str]]:
    """The paragraphs of `text` and where each begins."""
    if _WHOLE.search(text):
        yield 0, text
        return
    start = 0
    for gap in _BLANK_LINE.finditer(text):
        if gap.start() > start:
            yield start, text[start : gap.start()]
        start = gap.end()
    if start < len(text):
        yield start, text[start:]


def named(name: str, text: str) -> tuple[int, str]:
    """`text` with the name it goes by before it, and how many characters that puts in front.

    The name tells what a value of JSON is, as a word before it does in prose.
    """
    if not name or len(text) > SHORT or "\n" in text:
        return 0, text
    return len(name) + 2, f"{name}: {text}"


def sentences(text: str) -> Iterator[tuple[int, str]]:
    """The sentences of a paragraph and where each begins; none is longer than `LONGEST`."""
    start = 0
    for gap in _SENTENCE.finditer(text):
        yield from _cut(start, text[start : gap.start()])
        start = gap.end()
    yield from _cut(start, text[start:])


def script(sentence: str) -> str:
    """The language family whose name engine looks at a sentence: "zh", "latin", or "" when no name can be in it."""
    if HAN.search(sentence):
        return "zh"
    return "latin" if LATIN.search(sentence) else ""


def _cut(start: int, text: str) -> Iterator[tuple[int, str]]:
    while len(text) > LONGEST:
        end = text.rfind(" ", LONGEST // 2, LONGEST) + 1 or LONGEST
        yield start, text[:end]
        start, text = start + end, text[end:]
    if text:
        yield start, text
