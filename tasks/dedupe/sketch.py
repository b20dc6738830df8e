"""Sketches: the hashed shingles of a text that a pair is verified by; of a long text a sample."""

from typing import Any

import numpy as np

from tasks.dedupe.scheme import LEVELS, SAMPLE, SHORT_MOST, SLOTS, Meta
from tasks.text.hashing import I64, U32, U64
from tasks.text.kernel import kernel
from tasks.text.words import U8

ZEROS = np.array([8 - byte.bit_length() for byte in range(256)])  # that a byte begins with
ONE = np.uint64(1)


def sketch(
    content_words: U8, word_offsets: I64, short: tuple[U64, I64], long: tuple[U64, U64, I64], meta: Meta
) -> tuple[U32, I64]:
    """Sorted distinct shingles of each text; fills in `short` of `meta`.

    Args:
        content_words: for each word whether it is a content word.
        word_offsets: where the texts' words begin and end.
        short: keyed 1-grams and 2-grams, and where the texts' begin and end.
        long: 5-grams, the same keyed, and where the texts' begin and end.
        meta: a record of META for each text.
    """
    short_keyed, short_offsets = short
    hashes, keyed, long_offsets = long
    room = np.diff(short_offsets) + np.minimum(np.diff(long_offsets), SAMPLE)
    sketches = np.empty(room.sum(), np.uint32)
    offsets = np.zeros(len(meta) + 1, np.int64)
    _write_sketches(
        content_words, word_offsets, short_keyed, short_offsets, hashes, keyed, long_offsets, meta, sketches, offsets
    )
    return sketches[: offsets[-1]], offsets


@kernel
def _write_sketches(
    content_words: U8,
    word_offsets: I64,
    short: U64,
    short_offsets: I64,
    long: U64,
    long_keyed: U64,
    long_offsets: I64,
    meta: Any,
    sketches: U32,
    offsets: I64,
) -> None:
    """1-2-grams whole; of more than SAMPLE 5-grams a sample, by their own hashes."""
    places, room = np.empty(257, np.uint64), np.empty(max(2 * SHORT_MOST, SAMPLE), np.uint32)
    seen, chosen = np.empty(SLOTS, np.int64), np.empty(SAMPLE + 1, np.int64)
    out = 0
    for row in range(len(meta)):
        begin = out
        for at in range(short_offsets[row], short_offsets[row + 1]):
            word = word_offsets[row] + at - short_offsets[row]
            marked = content_words[word] if word < word_offsets[row + 1] else np.uint8(0)
            sketches[out] = np.uint32((short[at] >> np.uint64(32)) & np.uint64(0xFFFFFFFE)) | np.uint32(marked)
            out += 1
        out = _sort_distinct(sketches, begin, out, 1, places, room)
        meta[row].short = out - begin
        begin, first, size = out, long_offsets[row], long_offsets[row + 1] - long_offsets[row]
        count = size if size <= SAMPLE else _sample(long[first : first + size], seen, chosen)
        for at in range(count):
            place = first + (at if size <= SAMPLE else chosen[at])
            high = np.uint32((long_keyed[place] >> np.uint64(32)) & np.uint64(0xFFFFFFF0))
            sketches[out] = high | np.uint32(_level(long[place]))
            out += 1
        out = _sort_distinct(sketches, begin, out, 0, places, room)
        offsets[row + 1] = out


@kernel
def _level(shingle: Any) -> Any:
    """How many halvings a shingle survives: the zeros that its hash begins with."""
    level = ZEROS[shingle >> np.uint64(56)]
    if level == 8:
        level += ZEROS[(shingle >> np.uint64(48)) & np.uint64(255)]
    return min(level, LEVELS - 1)


@kernel
def _sample(shingles: U64, seen: I64, chosen: I64) -> int:
    """Places of the distinct shingles from the lowest level up that leaves no more than SAMPLE; returns how many.

    Each level has half as many, so two texts' samples agree on what both could have: the higher level of the two.
    Source: Gibbons, Distinct sampling for highly-accurate answers to distinct values queries (2001).
    """
    seen[:] = -1
    level, count = 0, 0
    for place in range(len(shingles)):
        if _level(shingles[place]) < level or not _enter(shingles, place, seen):
            continue
        chosen[count] = place
        count += 1
        while count > SAMPLE:
            level += 1
            seen[:] = -1
            left = 0
            for at in range(count):
                if _level(shingles[chosen[at]]) >= level:
                    _enter(shingles, chosen[at], seen)
                    chosen[left] = chosen[at]
                    left += 1
            count = left
    return count


@kernel
def _enter(shingles: U64, place: int, seen: I64) -> bool:
    """Put a shingle into a hash table of places; False when it is there already."""
    slot = np.int64(shingles[place] & np.uint64(SLOTS - 1))
    while seen[slot] >= 0:
        if shingles[seen[slot]] == shingles[place]:
            return False
        slot = (slot + 1) & (SLOTS - 1)
    seen[slot] = place
    return True


@kernel
def _sort_distinct(values: U32, first: int, last: int, mark: int, places: U64, room: U32) -> Any:
    """Sort hashes and drop repeated ones, their `mark` bit aside: into buckets by first byte, then within."""
    begin, end = np.uint64(first), np.uint64(last)
    places[:] = 0
    for at in range(begin, end):
        places[(values[at] >> np.uint32(24)) + np.uint32(1)] += ONE
        room[at - begin] = values[at]
    place = begin
    for bucket in range(256):
        place += places[bucket]
        places[bucket] = place
    for at in range(end - begin):
        value = room[at]
        bucket = value >> np.uint32(24)
        values[places[bucket]] = value
        places[bucket] += ONE
    out = begin
    for at in range(begin, end):
        value, back = values[at], out
        while back > begin and values[back - ONE] > value:
            back -= ONE
        if back > begin and values[back - ONE] ^ value <= mark:
            values[back - ONE] |= value
            continue
        for shifted in range(out, back, -1):
            values[shifted] = values[shifted - 1]
        values[back] = value
        out += ONE
    return np.int64(out)
