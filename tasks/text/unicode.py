"""What each Unicode character is to `tasks.text.words`: a class and its case-folded form, as lookup tables."""

import unicodedata
from functools import cache

import numpy as np
import numpy.typing as npt

SPACE, LETTER, DIGIT, SINGLE, OPERATOR, IGNORED, MAYBE = range(7)
"""Parts words | word | number | a word by itself | a word that bears meaning | as if it were not there | by context."""

LAST = 0x33480  # no script lies beyond, only private and unassigned characters: each counts as a word
EXPANDED = 0x200000  # forms of several characters (ß, ½) are rows of a second table, from this number on
EXPANSION = 3
HANGUL = (0xAC00, 0xD7A3)
JAMO = range(0x1100, 0x1200)  # join to Hangul syllables

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
    """How each code point is read.

    Returns:
        Its compatibility form (NFKC) with the case folded; its class; and the forms of two or three code points as
        rows, zero filled, which the first table points into from EXPANDED on.
    """
    folded = np.arange(LAST, dtype=np.uint32)
    classes = np.full(LAST, SINGLE, np.uint8)
    classes[HANGUL[0] : HANGUL[1] + 1] = LETTER
    for point in _with_forms():
        classes[point] = _class(point)
    for first, last in SINGLE_RANGES:
        classes[first : last + 1] = SINGLE
    expansions: list[list[int]] = []
    for point in _with_forms():
        form = _folded(chr(point))
        if len(form) == 1:
            folded[point] = ord(form)
            classes[point] = classes[ord(form)]
        elif len(form) <= EXPANSION:
            folded[point] = EXPANDED + len(expansions)
            expansions.append([ord(letter) for letter in form.ljust(EXPANSION, "\0")])
    for letter, as_if in FOLDS.items():
        folded[ord(letter)], classes[ord(letter)] = ord(as_if), classes[ord(as_if)]
    return folded, classes, np.array(expansions, np.uint32)


@cache
def joining() -> npt.NDArray[np.bool_]:
    """Whether a code point may join, or change places with, its neighbours under NFKC, or has a form too long for
    `tables`: a text without such a one can be read character by character."""
    points = _with_forms()
    canonical = (unicodedata.decomposition(chr(point)).split() for point in points)
    seconds = {parts[1] for parts in canonical if len(parts) == 2 and not parts[0].startswith("<")}
    found = np.zeros(LAST, np.bool_)
    for point in points:
        long_form = len(_folded(chr(point))) > EXPANSION
        found[point] = bool(unicodedata.combining(chr(point))) or f"{point:04X}" in seconds or long_form
    found[JAMO.start : JAMO.stop] = True
    return found


@cache
def _with_forms() -> list[int]:
    """The code points that have a case, a compatibility form or neighbours to join: not the 140,000 that are just
    themselves."""
    themselves = ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), HANGUL, (0x20000, 0x2F7FF), (0x30000, LAST))
    points = (point for point in range(LAST) if not any(first <= point <= last for first, last in themselves))
    return [point for point in points if unicodedata.category(chr(point)) not in ("Cn", "Co", "Cs")]


def _folded(letter: str) -> str:
    if not letter.isascii():
        letter = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", letter).casefold())
    return "".join(FOLDS.get(part, part) for part in letter.lower())


def _class(point: int) -> int:
    letter = chr(point)
    if letter in MAYBES:
        return MAYBE
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
