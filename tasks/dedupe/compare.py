"""Which texts are duplicates: pairs that share a bucket, each verified on its shingles before it counts.

A bucket is a run of equal keys in a sorted array of entries. An entry is 64 bits: the first 40 of a key, then 24 of the
row. Two keys that share 40 bits by chance cost one comparison, no more.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

from configs.settings import DedupeSettings
from tasks.dedupe.sign import LONG_LEAST, SHORT_MOST, SHORT_WORDS, Meta
from tasks.text.hashing import I64, U32, U64

ROW_BITS = 24
MOST_ROWS = 1 << ROW_BITS
WORDS_PER_EXTRA = 20  # a short text may have one content word more per twenty words
SAME_WORDS = 0.95  # Jaccard similarity of short texts with the same content words in another order


@dataclass(frozen=True)
class Rows:
    """What of many texts is compared: row i is `meta[i]` and `sketches[offsets[i]:offsets[i + 1]]`."""

    meta: Meta
    offsets: I64
    sketches: U32


@dataclass(frozen=True)
class Edges:
    """Verified pairs: row `left[i]` and row `right[i]`, and how similar they are."""

    left: I64
    right: I64
    similarity: Any


def entries(keys: U64, offsets: I64, rows: U64) -> U64:
    """Sorted entries of texts' keys.

    Args:
        keys: bucket keys, text after text.
        offsets: where each text's keys begin.
        rows: the row of each text, below MOST_ROWS.
    """
    made = (keys & ~np.uint64(MOST_ROWS - 1)) | np.repeat(rows, np.diff(offsets))
    made.sort()
    return made


def pairs_within(sorted_entries: U64, row_of: I64, rows: Rows, settings: DedupeSettings) -> Edges:
    """Verified pairs of one set of texts, enough of them to connect all that are connected.

    Every member of a bucket is compared with its first `bucket_cap` members, unless both are connected already.

    Args:
        sorted_entries: from `entries`; the rows in it are ranks.
        row_of: the row of each rank.
        rows: what is compared.
        settings: thresholds and cap.
    """
    size = len(rows.meta)
    left, right, similarity = np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size)
    count = _within(
        sorted_entries,
        row_of,
        np.arange(len(rows.meta)),
        *(rows.meta, rows.offsets, rows.sketches),
        settings.bucket_cap,
        settings.short_threshold,
        settings.long_threshold,
        *(left, right, similarity),
    )
    return Edges(left[:count], right[:count], similarity[:count])


def pairs_across(
    new_entries: U64, row_of: I64, new: Rows, old_entries: U64, old: Rows, settings: DedupeSettings
) -> Edges:
    """Verified pairs of a new text (left) with one of the index (right): all, but for the cap."""
    pairs = np.unique(_across(new_entries, row_of.astype(np.uint64), old_entries, settings.bucket_cap))
    left, right = (pairs >> np.uint64(32)).astype(np.int64), (pairs & np.uint64(0xFFFFFFFF)).astype(np.int64)
    found = verify(left, right, new, old, settings)
    hits = found >= 0
    return Edges(left[hits], right[hits], found[hits])


def verify(left: I64, right: I64, a: Rows, b: Rows, settings: DedupeSettings) -> Any:
    """The similarity of each pair if it is a duplicate, else -1."""
    out = np.empty(len(left))
    _verify(
        left,
        right,
        *(a.meta, a.offsets, a.sketches),
        *(b.meta, b.offsets, b.sketches),
        settings.short_threshold,
        settings.long_threshold,
        out,
    )
    return out


def similarities(left: I64, right: I64, a: Rows, b: Rows) -> Any:
    """The Jaccard similarity of each pair, whatever it is."""
    out = np.empty(len(left))
    _similarities(left, right, a.meta, a.offsets, a.sketches, b.meta, b.offsets, b.sketches, out)
    return out


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _short_pair(a: U32, b: U32) -> Any:
    """Jaccard similarity of two sets of 1-2-grams, and how many content words only a and only b have."""
    at, bt, common, only_a, only_b = 0, 0, 0, 0, 0
    while at < len(a) and bt < len(b):
        if a[at] == b[bt]:
            common += 1
            at += 1
            bt += 1
        elif a[at] < b[bt]:
            only_a += a[at] & np.uint32(1)
            at += 1
        else:
            only_b += b[bt] & np.uint32(1)
            bt += 1
    for rest in a[at:]:
        only_a += rest & np.uint32(1)
    for rest in b[bt:]:
        only_b += rest & np.uint32(1)
    union = len(a) + len(b) - common
    return common / union if union else 1.0, only_a, only_b


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _long_pair(a: U32, b: U32) -> Any:
    """Jaccard similarity of two sets of 5-grams, and the share of the smaller that the larger has.

    Exact for sets that were kept whole, an estimate from at least some 500 shingles for sampled ones.
    """
    level = np.uint32(15)
    for value in a:
        level = min(level, value & np.uint32(15))
    other = np.uint32(15)
    for value in b:
        other = min(other, value & np.uint32(15))
    level = max(level, other)
    at, bt, common, in_a, in_b = 0, 0, 0, 0, 0
    while at < len(a) or bt < len(b):
        if bt == len(b) or (at < len(a) and a[at] < b[bt]):
            in_a += (a[at] & np.uint32(15)) >= level
            at += 1
        elif at == len(a) or b[bt] < a[at]:
            in_b += (b[bt] & np.uint32(15)) >= level
            bt += 1
        else:
            counts = (a[at] & np.uint32(15)) >= level
            common += counts
            in_a += counts
            in_b += counts
            at += 1
            bt += 1
    union, smaller = in_a + in_b - common, min(in_a, in_b)
    return common / union if union else 0.0, common / smaller if smaller else 0.0


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _duplicates(
    i: int, a: Any, a_sketch: U32, j: int, b: Any, b_sketch: U32, short_threshold: float, long_threshold: float
) -> Any:
    """Similarity of text i of a and text j of b if they are duplicates, else -1."""
    x, y = a[i], b[j]
    if x.exact[0] == y.exact[0] and x.exact[1] == y.exact[1]:
        return 1.0
    shorter, longer = min(x.words, y.words), max(x.words, y.words)
    if shorter <= SHORT_WORDS and longer <= SHORT_MOST:
        if x.guard != y.guard:
            return -1.0
        similarity, only_a, only_b = _short_pair(a_sketch[: x.short], b_sketch[: y.short])
        if x.content != 0 and x.content == y.content:
            return similarity
        if similarity < short_threshold or (only_a and only_b):
            return -1.0
        extra = only_a + only_b
        if extra == 0:
            return similarity if similarity >= SAME_WORDS else -1.0
        return similarity if extra * WORDS_PER_EXTRA <= longer else -1.0
    if shorter < LONG_LEAST:
        return -1.0
    similarity, contained = _long_pair(a_sketch[x.short :], b_sketch[y.short :])
    return similarity if similarity >= long_threshold or contained == 1.0 else -1.0


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _find(parents: I64, row: int) -> int:
    while parents[row] != row:
        parents[row] = parents[parents[row]]
        row = parents[row]
    return row


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _within(
    sorted_entries: U64,
    row_of: I64,
    parents: I64,
    meta: Any,
    offsets: I64,
    sketches: U32,
    cap: int,
    short_threshold: float,
    long_threshold: float,
    left: I64,
    right: I64,
    similarity: Any,
) -> int:
    count, begin = 0, 0
    mask = np.uint64(MOST_ROWS - 1)
    for end in range(1, len(sorted_entries) + 1):
        if end < len(sorted_entries) and (sorted_entries[end] ^ sorted_entries[begin]) <= mask:
            continue
        for member in range(begin + 1, end):
            j = row_of[np.int64(sorted_entries[member] & mask)]
            for first in range(begin, min(member, begin + cap)):
                i = row_of[np.int64(sorted_entries[first] & mask)]
                if _find(parents, i) == _find(parents, j):
                    continue
                found = _duplicates(
                    i, meta, sketches[offsets[i] : offsets[i + 1]],
                    j, meta, sketches[offsets[j] : offsets[j + 1]],
                    short_threshold, long_threshold,
                )  # fmt: skip
                if found >= 0:
                    parents[_find(parents, j)] = _find(parents, i)
                    left[count], right[count], similarity[count] = i, j, found
                    count += 1
        begin = end
    return count


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _across(new: U64, row_of: U64, old: U64, cap: int) -> U64:
    """Pairs (new row << 32 | old row) that share a key; both arrays are sorted."""
    pairs = np.empty(1024, np.uint64)
    count, low, mask = 0, 0, np.uint64(MOST_ROWS - 1)
    for entry in new:
        key = entry & ~mask
        step = 1
        while low + step < len(old) and old[low + step] < key:
            step *= 2
        high = min(low + step, len(old))
        low += step // 2
        while low < high:  # the first entry with this key lies between
            middle = (low + high) // 2
            if old[middle] < key:
                low = middle + 1
            else:
                high = middle
        at = low
        while at < len(old) and at < low + cap and old[at] & ~mask == key:
            if count == len(pairs):
                grown = np.empty(2 * count, np.uint64)
                grown[:count] = pairs
                pairs = grown
            pairs[count] = (row_of[np.int64(entry & mask)] << np.uint64(32)) | (old[at] & mask)
            count += 1
            at += 1
    return pairs[:count]


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _verify(
    left: I64,
    right: I64,
    a: Any,
    a_offsets: I64,
    a_sketches: U32,
    b: Any,
    b_offsets: I64,
    b_sketches: U32,
    short_threshold: float,
    long_threshold: float,
    out: Any,
) -> None:
    for at in range(len(left)):
        i, j = left[at], right[at]
        out[at] = _duplicates(
            i, a, a_sketches[a_offsets[i] : a_offsets[i + 1]],
            j, b, b_sketches[b_offsets[j] : b_offsets[j + 1]],
            short_threshold, long_threshold,
        )  # fmt: skip


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _similarities(
    left: I64,
    right: I64,
    a: Any,
    a_offsets: I64,
    a_sketches: U32,
    b: Any,
    b_offsets: I64,
    b_sketches: U32,
    out: Any,
) -> None:
    for at in range(len(left)):
        i, j = left[at], right[at]
        x, y = a[i], b[j]
        one, other = a_sketches[a_offsets[i] : a_offsets[i + 1]], b_sketches[b_offsets[j] : b_offsets[j + 1]]
        if x.exact[0] == y.exact[0] and x.exact[1] == y.exact[1]:
            out[at] = 1.0
        elif x.short and y.short and min(x.words, y.words) <= SHORT_WORDS:
            out[at] = _short_pair(one[: x.short], other[: y.short])[0]
        else:
            out[at] = _long_pair(one[x.short :], other[y.short :])[0]
