"""What is kept of a text to find it again: its exact hash, the buckets it falls into, and a sketch to verify by.

Short texts (up to 80 words) are known by their word 1-grams and 2-grams, long ones (from 40 words) by their 5-grams;
between, both. All choices depend on the text only; what is kept is then keyed, which changes no comparison.
"""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from numba import njit

from tasks.text import hashing
from tasks.text.hashing import I64, U32, U64, chain, minhash, mix, siphash
from tasks.text.stopwords import table
from tasks.text.words import U8, tokenize

SHORT_WORDS = 60  # a pair whose shorter text has no more is compared as short texts
SHORT_MOST = 80
LONG_LEAST = 40
LONG_GRAM = 5
SHORT_BANDS, SHORT_ROWS = 32, 4
LONG_BANDS, LONG_ROWS = 16, 8
SAMPLE = 1024  # most shingles kept of a long text
LEVELS = 16
SLOTS = 4096  # of the hash table that finds distinct shingles

SCHEME = (
    f"1: {hashing.SCHEME} x {hashing.PERMUTATIONS}, seed {hashing.SEED}; NFKC, case folded; "
    f"up to {SHORT_MOST} words 1-2-grams {SHORT_BANDS} x {SHORT_ROWS}, "
    f"from {LONG_LEAST} words {LONG_GRAM}-grams {LONG_BANDS} x {LONG_ROWS}"
)

META = np.dtype(
    [
        ("exact", "<u8", 2),  # 128 bits of the sequence of words
        ("content", "<u8"),  # of the sequence of content words; 0 without any, or for a long text
        ("guard", "<u8"),  # of the numbers, operators and negations in their order
        ("words", "<u4"),
        ("short", "<u4"),  # how many entries of the sketch are 1-2-grams; the 5-grams follow
    ]
)
Meta = npt.NDArray[np.void]


@dataclass(frozen=True)
class Signed:
    """Texts, signed; row i of everything is text i.

    Args:
        meta: a record of META each.
        order: a number to sort by that depends on the text only.
        keys: bucket keys, text after text, at `key_offsets`: texts that share one are compared.
        sketches: shingles, text after text, at `sketch_offsets`: 31 or 28 keyed bits, and below them 1 bit that
            marks a content word (1-2-grams) or 4 bits with the level it is sampled at (5-grams); sorted, distinct.
    """

    meta: Meta
    order: U64
    keys: U64
    key_offsets: I64
    sketches: U32
    sketch_offsets: I64


def sign(texts: pl.Series, secret: bytes, *, purpose: str, near: bool = True) -> Signed:
    """Sign texts.

    Args:
        texts: what is compared; null counts as empty.
        secret: the lake's; two secrets lead to the same comparisons, but neither can be read by the other.
        purpose: texts signed for different purposes never meet.
        near: whether near duplicates are wanted; without, only the exact hash is made.
    """
    key = blake2b(purpose.encode(), key=blake2b(secret).digest(), digest_size=16).digest()
    hashes, flags, offsets = tokenize(texts)
    meta = np.zeros(len(texts), META)
    content_words = np.zeros(len(hashes), np.uint8)
    _describe(hashes, flags, offsets, *table(), near, meta, content_words)
    order = meta["exact"][:, 0].copy()
    if near:
        short, short_offsets = _grams(hashes, offsets, 1)
        long, long_offsets = _grams(hashes, offsets, LONG_GRAM)
        keys, key_offsets = _keys(meta, (short, short_offsets), (long, long_offsets))
        sketches, sketch_offsets = _sketch(
            content_words, offsets, (siphash(short, key), short_offsets), (long, siphash(long, key), long_offsets), meta
        )
    else:
        keys, key_offsets = order, np.arange(len(texts) + 1)
        sketches, sketch_offsets = np.empty(0, np.uint32), np.zeros(len(texts) + 1, np.int64)
    for field in ("content", "guard"):
        meta[field] = np.where(meta[field] == 0, 0, siphash(meta[field].copy(), key))
    meta["exact"] = siphash(meta["exact"].ravel().copy(), key).reshape(-1, 2)
    return Signed(meta, order, siphash(keys, key), key_offsets, sketches, sketch_offsets)


def signatures(texts: pl.Series, *, long: bool) -> tuple[U32, U64, I64]:
    """MinHash signatures (n x 128) of the texts' 5-grams (`long`) or 1-2-grams, with the shingle hashes they are of.

    A text that is too long or too short for that kind has no shingles.
    """
    hashes, _, offsets = tokenize(texts)
    shingles, shingle_offsets = _grams(hashes, offsets, LONG_GRAM if long else 1)
    return minhash(shingles, shingle_offsets), shingles, shingle_offsets


def _grams(hashes: U64, offsets: I64, size: int) -> tuple[U64, I64]:
    counts = np.diff(offsets)
    if size == 1:
        room = np.where(counts <= SHORT_MOST, np.maximum(2 * counts - 1, 0), 0)
    else:
        room = np.where(counts >= LONG_LEAST, counts - size + 1, 0)
    ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(room)])
    shingles = np.empty(ends[-1], np.uint64)
    if size == 1:
        _short_grams(hashes, offsets, shingles, ends)
    else:
        _long_grams(hashes, offsets, shingles, ends)
    return shingles, ends


def _keys(meta: Meta, short: tuple[U64, I64], long: tuple[U64, I64]) -> tuple[U64, I64]:
    is_short, is_long = np.diff(short[1]) > 0, np.diff(long[1]) > 0
    counts = 1 + (meta["content"] != 0) + is_short * SHORT_BANDS + is_long * LONG_BANDS
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    keys = np.empty(offsets[-1], np.uint64)
    _write_keys(meta, is_short, is_long, minhash(*short), minhash(*long), keys, offsets)
    return keys, offsets


def _sketch(
    content_words: U8, word_offsets: I64, short: tuple[U64, I64], long: tuple[U64, U64, I64], meta: Meta
) -> tuple[U32, I64]:
    room = np.diff(short[1]) + np.minimum(np.diff(long[2]), SAMPLE)
    sketches = np.empty(room.sum(), np.uint32)
    offsets = np.zeros(len(meta) + 1, np.int64)
    _write_sketches(content_words, word_offsets, *short, *long, meta, sketches, offsets)
    return sketches[: offsets[-1]], offsets


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _describe(
    hashes: U64,
    flags: U8,
    offsets: I64,
    known: U64,
    counts_as: U64,
    known_flags: U8,
    phrases: U64,
    near: bool,
    meta: Any,
    content_words: U8,
) -> None:
    """Exact, content and guard hashes of each text, and which of its words are content words."""
    for row in range(len(offsets) - 1):
        begin, end = offsets[row], offsets[row + 1]
        first, second = np.uint64(0x452821E638D01377), np.uint64(0xBE5466CF34E90C6C)
        for at in range(begin, end):
            first = chain(first, hashes[at])
            second = (second ^ hashes[at]) * np.uint64(0xD6E8FEB86659FD93)
            second ^= second >> np.uint64(32)
        meta[row].words = end - begin
        meta[row].exact[0] = mix(first ^ np.uint64(end - begin))
        meta[row].exact[1] = mix(second)
        if not near or end - begin > SHORT_MOST:
            continue
        content, guard, skip = np.uint64(0), np.uint64(0), False
        for at in range(begin, end):
            if skip:
                skip = False
                continue
            if at + 1 < end:
                for place in range(len(phrases)):
                    if phrases[place, 0] == hashes[at] and phrases[place, 1] == hashes[at + 1]:
                        skip = True
                        break
                if skip:
                    continue
            slot = hashes[at] % np.uint64(len(known))
            while known[slot] and known[slot] != hashes[at]:
                slot = (slot + np.uint64(1)) % np.uint64(len(known))
            value, flag = hashes[at], flags[at]
            if known[slot]:
                value, flag = counts_as[slot], flag | known_flags[slot]
            if value == 0:
                continue
            content_words[at] = 1
            content = chain(content, value)
            if flag:
                guard = chain(guard, value)
        meta[row].content, meta[row].guard = content, guard


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _short_grams(hashes: U64, offsets: I64, shingles: U64, ends: I64) -> None:
    """First all 1-grams of a text in order, then its 2-grams."""
    for row in range(len(offsets) - 1):
        if ends[row + 1] == ends[row]:
            continue
        out, count = ends[row], offsets[row + 1] - offsets[row]
        for at in range(offsets[row], offsets[row + 1]):
            shingles[out] = mix(hashes[at] ^ np.uint64(0x3F84D5B5B5470917))
            if at + 1 < offsets[row + 1]:
                shingles[out + count] = mix(chain(hashes[at], hashes[at + 1]))
            out += 1


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _long_grams(hashes: U64, offsets: I64, shingles: U64, ends: I64) -> None:
    for row in range(len(offsets) - 1):
        for place in range(ends[row + 1] - ends[row]):
            begin = offsets[row] + place
            state = hashes[begin]
            for at in range(begin + 1, begin + LONG_GRAM):
                state = state * np.uint64(0x9E3779B97F4A7C15) + hashes[at]
            shingles[ends[row] + place] = mix(state)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _write_keys(meta: Any, is_short: Any, is_long: Any, short: U32, long: U32, keys: U64, offsets: I64) -> None:
    for row in range(len(meta)):
        out = offsets[row]
        keys[out] = meta[row].exact[0]
        out += 1
        if meta[row].content:
            keys[out] = mix(meta[row].content)
            out += 1
        if is_short[row]:
            for band in range(SHORT_BANDS):
                state = np.uint64(band)
                for place in range(band * SHORT_ROWS, (band + 1) * SHORT_ROWS):
                    state = chain(state, np.uint64(short[row, place]))
                keys[out] = mix(state)
                out += 1
        if is_long[row]:
            for band in range(LONG_BANDS):
                state = np.uint64(SHORT_BANDS + band)
                for place in range(band * LONG_ROWS, (band + 1) * LONG_ROWS):
                    state = chain(state, np.uint64(long[row, place]))
                keys[out] = mix(state)
                out += 1


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
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
    places, room = np.empty(257, np.int64), np.empty(max(2 * SHORT_MOST, SAMPLE), np.uint32)
    seen, chosen = np.empty(SLOTS, np.int64), np.empty(SAMPLE + 1, np.int64)
    out = 0
    for row in range(len(meta)):
        begin = out
        for at in range(short_offsets[row], short_offsets[row + 1]):
            word = word_offsets[row] + at - short_offsets[row]
            marked = content_words[word] if word < word_offsets[row + 1] else np.uint8(0)
            sketches[out] = np.uint32((short[at] >> np.uint64(32)) & np.uint64(0xFFFFFFFE)) | np.uint32(marked)
            out += 1
        out = _sort_distinct(sketches, begin, out, places, room)
        meta[row].short = out - begin
        begin, first, size = out, long_offsets[row], long_offsets[row + 1] - long_offsets[row]
        count = size if size <= SAMPLE else _sample(long[first : first + size], seen, chosen)
        for at in range(count):
            place = first + (at if size <= SAMPLE else chosen[at])
            high = np.uint32((long_keyed[place] >> np.uint64(32)) & np.uint64(0xFFFFFFF0))
            sketches[out] = high | np.uint32(_level(long[place]))
            out += 1
        out = _sort_distinct(sketches, begin, out, places, room)
        offsets[row + 1] = out


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _level(shingle: Any) -> int:
    """How many halvings a shingle survives: the zeros that its hash begins with."""
    level = 0
    while level < LEVELS - 1 and not (shingle >> np.uint64(63 - level)) & np.uint64(1):
        level += 1
    return level


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
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


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _enter(shingles: U64, place: int, seen: I64) -> bool:
    """Put a shingle into a hash table of places; False when it is there already."""
    slot = np.int64(shingles[place] & np.uint64(SLOTS - 1))
    while seen[slot] >= 0:
        if shingles[seen[slot]] == shingles[place]:
            return False
        slot = (slot + 1) & (SLOTS - 1)
    seen[slot] = place
    return True


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _sort_distinct(values: U32, begin: int, end: int, places: I64, room: U32) -> int:
    """Sort hashes and drop repeated ones: by their first byte into buckets, then the few that are out of order."""
    places[:] = 0
    for at in range(begin, end):
        places[(values[at] >> np.uint32(24)) + 1] += 1
        room[at - begin] = values[at]
    for bucket in range(256):
        places[bucket + 1] += places[bucket]
    for at in range(end - begin):
        value = room[at]
        bucket = value >> np.uint32(24)
        values[begin + places[bucket]] = value
        places[bucket] += 1
    out = begin
    for at in range(begin, end):
        value, back = values[at], out
        while back > begin and values[back - 1] > value:
            back -= 1
        if back > begin and values[back - 1] == value:
            continue
        for shifted in range(out, back, -1):
            values[shifted] = values[shifted - 1]
        values[back] = value
        out += 1
    return out
