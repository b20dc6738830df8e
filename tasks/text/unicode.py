"""What each Unicode character is to `tasks.text.words`: a class and its case-folded form, as lookup tables."""

import unicodedata
from functools import cache

import numpy as np
import numpy.typing as npt

SPACE, LETTER, DIGIT, SINGLE, OPERATOR, IGNORED, MAYBE = range(7)
"""Parts words | word | number | a word by itself | a word that bears meaning | as if it were not there | by context."""

LAST = 0x33480  # no script lies beyond, only private and unassigned characters: each counts as a word
EXPANDED = 0x200000  # folded forms of several characters (ß) are rows of a second table, from this number on

SINGLE_RANGES = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x3007),  # ideographic iteration mark, closing mark, zero
    (0x3040, 0x312F),  # Hiragana, Katakana, Bopomofo
    (0x31A0, 0x31FF),
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x323AF),
)
MAYBES = "-*/%^&|~:.,#!'"
FOLDS = {"−": "-", "–": "-", "×": "*", "÷": "/", "’": "'", "‘": "'", "ʼ": "'", "您": "你"}
SKIN_TONES = range(0x1F3FB, 0x1F400)
VARIATION_SELECTORS = range(0xFE00, 0xFE10)


@cache
def tables() -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint8], npt.NDArray[np.uint32]]:
    """Folded form and class of each code point, and the forms of several code points (k x 3, zero filled)."""
    folded = np.arange(LAST, dtype=np.uint32)
    classes = np.zeros(LAST, np.uint8)
    expansions: list[list[int]] = []
    for point in range(LAST):
        if 0xD800 <= point < 0xE000:  # surrogates are no characters
            continue
        text = FOLDS.get(chr(point)) or chr(point).casefold()
        classes[point] = _class(ord(FOLDS.get(chr(point), chr(point))))
        if len(text) == 1:
            folded[point] = ord(text)
        else:
            folded[point] = EXPANDED + len(expansions)
            expansions.append([ord(letter) for letter in text.ljust(3, "\0")])
    return folded, classes, np.array(expansions, np.uint32)


def _class(point: int) -> int:
    letter = chr(point)
    if letter in MAYBES:
        return MAYBE
    if any(first <= point <= last for first, last in SINGLE_RANGES):
        return SINGLE
    if point in SKIN_TONES or point in VARIATION_SELECTORS:
        return IGNORED
    category = unicodedata.category(letter)
    if category in ("Sm", "Sc"):
        return OPERATOR
    if category == "Cf":
        return IGNORED
    if category in ("So", "Co", "Cn"):
        return SINGLE
    if category[0] in "LM":
        return LETTER
    return DIGIT if category[0] == "N" else SPACE
