"""Words of a text, in any script, as 64-bit hashes: one pass over the Arrow string buffers.

Letters make words, digits make numbers ("iPhone15" is "iPhone 15"); scripts without spaces go by characters, emoji are
words of their own. Punctuation and spacing only part words, but what bears meaning between numbers stays a word:
operators, signs, decimal points, currencies ("2+3" is not "2-3"; "1,000" is "1000").
"""

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from tasks.text.hashing import I64, U32, U64, mix
from tasks.text.kernel import kernel
from tasks.text.normalize import normalize
from tasks.text.unicode import DIGIT, EXPANDED, IGNORED, LETTER, MAYBE, OPERATOR, SINGLE, SPACE, tables

U8 = npt.NDArray[np.uint8]

NUMBER_FLAG = 1
OPERATOR_FLAG = 2
HASH_START = np.uint64(0x243F6A8885A308D3)
HASH_FACTOR = np.uint64(0x9FB21C651E98DF25)
ONE = np.uint64(1)  # places are unsigned: Numba asks of each signed one whether it counts from the end


def tokenize(texts: pl.Series) -> tuple[U64, U8, I64]:
    """The words of each text.

    Args:
        texts: any strings; null counts as empty.

    Returns:
        Hashes of the words, text after text; a flag for each (NUMBER_FLAG, OPERATOR_FLAG or 0); and n + 1 offsets.
        A text of punctuation only has its characters as words, so that "?" is not "!"; an empty one has none.
    """
    data, offsets = normalize(texts)
    room = 2 * int(offsets[-1] - offsets[0])  # "½" are three words in two bytes
    longest = int(np.diff(offsets).max(initial=0))
    hashes, flags = np.empty(room, np.uint64), np.empty(room, np.uint8)
    ends = np.zeros(len(offsets), np.int64)
    points, kinds = np.empty(longest * 2 + 2, np.uint32), np.empty(longest * 2 + 2, np.uint8)
    _tokenize(data, offsets, *tables(), points, kinds, hashes, flags, ends)
    return hashes[: ends[-1]], flags[: ends[-1]], ends


def words(text: str) -> list[str]:
    """The words of one text as strings, case folded: what `tokenize` hashes. For tests, and for a person to look."""
    data, _ = normalize(pl.Series([text]))
    points, kinds = np.empty(len(data) * 2 + 2, np.uint32), np.empty(len(data) * 2 + 2, np.uint8)
    count = _decode(data, 0, len(data), *tables(), points, kinds)
    room = 2 * len(data)
    hashes, flags, spans = np.empty(room, np.uint64), np.empty(room, np.uint8), np.empty((room, 2), np.int64)
    found = _split(points, kinds, count, hashes, flags, spans, 0)
    letters = points.astype(np.uint32)
    skipped = (IGNORED, MAYBE)
    return [
        "".join(chr(letters[at]) for at in range(begin, end) if end == begin + 1 or kinds[at] not in skipped)
        for begin, end in spans[:found]
    ]


@cache
def word_hash(word: str) -> int:
    """The hash that `tokenize` gives to a single word.

    Raises:
        ValueError: `word` is not one word.
    """
    hashes, _, _ = tokenize(pl.Series([word]))
    if len(hashes) != 1:
        raise ValueError(f"{word!r} is {len(hashes)} words, not one.")
    return int(hashes[0])


@kernel
def _tokenize(
    data: U8,
    offsets: I64,
    folded: U32,
    classes: U8,
    expansions: U32,
    points: U32,
    kinds: U8,
    hashes: U64,
    flags: U8,
    ends: I64,
) -> None:
    spans = np.empty((0, 2), np.int64)
    found = 0
    for row in range(len(offsets) - 1):
        count = _decode(data, offsets[row], offsets[row + 1], folded, classes, expansions, points, kinds)
        found = _split(points, kinds, count, hashes, flags, spans, found)
        ends[row + 1] = found


@kernel
def _decode(data: U8, begin: int, end: int, folded: U32, classes: U8, expansions: U32, points: U32, kinds: U8) -> Any:
    """UTF-8 to case-folded code points and their classes; returns how many."""
    at, last, count = np.uint64(begin), np.uint64(end), np.uint64(0)
    while at < last:
        first = np.uint32(data[at])
        if first < 0x80:  # most are
            points[count], kinds[count] = folded[first], classes[first]
            count, at = count + ONE, at + ONE
            continue
        if first < 0xE0:
            point, size = first & np.uint32(0x1F), 2
        elif first < 0xF0:
            point, size = first & np.uint32(0x0F), 3
        else:
            point, size = first & np.uint32(0x07), 4
        at += ONE
        for _ in range(1, size):
            point = (point << np.uint32(6)) | np.uint32(data[at] & 0x3F)
            at += ONE
        if point >= len(folded):
            points[count], kinds[count] = point, SINGLE
            count += ONE
            continue
        kind = classes[point]
        point = folded[point]
        if point < EXPANDED:
            points[count], kinds[count] = point, kind
            count += ONE
            continue
        for piece in expansions[point - EXPANDED]:
            if piece:
                points[count], kinds[count] = piece, classes[piece]
                count += ONE
    return np.int64(count)


@kernel
def _split(points: U32, kinds: U8, count: int, hashes: U64, flags: U8, spans: I64, found: int) -> int:
    """Code points to words; returns the number of words so far."""
    first, at, last = found, np.uint64(0), np.uint64(count)
    while at < last:
        kind, begin = kinds[at], at
        if kind == MAYBE:
            kind = _decide(points, kinds, count, np.int64(at), SPACE)
        at += ONE
        if kind in (SPACE, IGNORED):
            continue
        state = (HASH_START ^ np.uint64(points[begin])) * HASH_FACTOR
        flag = OPERATOR_FLAG if kind == OPERATOR else 0
        if kind in (LETTER, DIGIT):
            flag = NUMBER_FLAG if kind == DIGIT else 0
            while at < last:
                if kinds[at] == kind:
                    state = (state ^ np.uint64(points[at])) * HASH_FACTOR
                elif kinds[at] == SPACE or (
                    kinds[at] != IGNORED
                    and (kinds[at] != MAYBE or _decide(points, kinds, count, np.int64(at), kind) != IGNORED)
                ):
                    break
                at += ONE
        found = _put(hashes, flags, spans, found, mix(state), flag, begin, at)
    if found > first:
        return found
    for only in range(count):  # no words at all: the characters themselves
        if points[only] > 32:
            state = (HASH_START ^ np.uint64(points[only])) * HASH_FACTOR
            found = _put(hashes, flags, spans, found, mix(state), 0, only, only + 1)
    return found


@kernel
def _put(hashes: U64, flags: U8, spans: I64, found: int, value: Any, flag: int, begin: Any, end: Any) -> int:
    """Write a word down; returns the number of words so far."""
    place = np.uint64(found)
    hashes[place], flags[place] = value, flag
    if len(spans):
        spans[place, 0], spans[place, 1] = begin, end
    return found + 1


@kernel
def _decide(points: U32, kinds: U8, count: int, at: Any, open_kind: int) -> int:
    """What a mark that may bear meaning is here: part of a word (IGNORED), a word (OPERATOR), or a SPACE."""
    mark = points[at]
    before = kinds[at - 1] if at else SPACE
    after = kinds[at + 1] if at + 1 < count else SPACE
    if mark == ord("'"):
        return IGNORED if open_kind == LETTER and after == LETTER else SPACE
    if mark == ord(","):
        thousands = at + 3 < count and kinds[at + 1] == DIGIT and kinds[at + 2] == DIGIT and kinds[at + 3] == DIGIT
        if at + 4 < count and kinds[at + 4] == DIGIT:
            thousands = False
        return IGNORED if open_kind == DIGIT and thousands else SPACE
    if mark in (ord("."), ord(":")):
        return OPERATOR if before == DIGIT and after == DIGIT else SPACE
    if mark == ord("#"):
        return OPERATOR if before == LETTER else SPACE
    if mark == ord("!"):
        return OPERATOR if at + 1 < count and points[at + 1] == ord("=") else SPACE
    left = _operand(points, kinds, count, at, -1)
    if mark == ord("%"):
        return OPERATOR if left == DIGIT else SPACE
    if mark == ord("-") and after == DIGIT and before != LETTER and before != DIGIT and before != MAYBE:
        return OPERATOR
    right = _operand(points, kinds, count, at, 1)
    return OPERATOR if left != SPACE and right != SPACE else SPACE


@kernel
def _operand(points: U32, kinds: U8, count: int, at: int, step: int) -> int:
    """Whether a number, a variable of one letter or a bracket stands on that side: its class, else SPACE."""
    mark = points[at]
    at += step
    while 0 <= at < count and (points[at] == 32 or points[at] == mark):
        at += step
    if not 0 <= at < count:
        return SPACE
    if kinds[at] == DIGIT:
        return DIGIT
    if points[at] == (ord(")") if step < 0 else ord("(")):
        return LETTER
    alone = kinds[at] == LETTER and not (0 <= at + step < count and kinds[at + step] == LETTER)
    return LETTER if alone else SPACE
