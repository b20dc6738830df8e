"""Shingles of texts, and the hashes of a whole text."""

from typing import Any

import numpy as np

from tasks.dedupe.scheme import LONG_GRAM, LONG_LEAST, META, SHORT_MOST, Meta
from tasks.text.hashing import I64, U64, chain, mix
from tasks.text.kernel import kernel
from tasks.text.stopwords import table
from tasks.text.words import U8


def describe(hashes: U64, flags: U8, offsets: I64, *, near: bool) -> tuple[Meta, U8]:
    """A record of META for each text but for its `short`, and for each word whether it is a content word.

    Args:
        hashes: words, text after text.
        flags: what `tokenize` says about each.
        offsets: where the texts begin and end.
        near: whether anything but the exact hash is wanted.
    """
    meta, content_words = np.zeros(len(offsets) - 1, META), np.zeros(len(hashes), np.uint8)
    _describe(hashes, flags, offsets, *table(), near, meta, content_words)
    return meta, content_words


def grams(hashes: U64, offsets: I64, size: int) -> tuple[U64, I64]:
    """Hashes of the shingles of each text, repeated ones too: first all 1-grams, then the 2-grams, of a short text
    (size 1), or the 5-grams of a long one; and n + 1 offsets. Texts of the other kind have none.
    """
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


@kernel
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
    slots, openings = np.uint64(len(known) - 1), np.uint64(0)  # a bit for each word that may open a stop phrase
    for place in range(len(phrases)):
        openings |= np.uint64(1) << (phrases[place, 0] & np.uint64(63))
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
            if (openings >> (hashes[at] & np.uint64(63))) & np.uint64(1) and at + 1 < end:
                for place in range(len(phrases)):
                    if phrases[place, 0] == hashes[at] and phrases[place, 1] == hashes[at + 1]:
                        skip = True
                        break
                if skip:
                    continue
            slot = hashes[at] & slots
            while known[slot] and known[slot] != hashes[at]:
                slot = (slot + np.uint64(1)) & slots
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


@kernel
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


@kernel
def _long_grams(hashes: U64, offsets: I64, shingles: U64, ends: I64) -> None:
    for row in range(len(offsets) - 1):
        for place in range(ends[row + 1] - ends[row]):
            begin = offsets[row] + place
            state = hashes[begin]
            for at in range(begin + 1, begin + LONG_GRAM):
                state = state * np.uint64(0x9E3779B97F4A7C15) + hashes[at]
            shingles[ends[row] + place] = mix(state)
