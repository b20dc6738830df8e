"""Which texts are duplicates: pairs that share a bucket, each verified on its shingles before it counts."""

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from configs.settings import DedupeSettings
from tasks.dedupe.entries import MOST_ROWS, across
from tasks.dedupe.scheme import LONG_LEAST, SHORT_MOST, SHORT_WORDS, Meta
from tasks.text.hashing import I64, U32, U64, mix
from tasks.text.kernel import kernel

F64 = npt.NDArray[np.float64]

PAIRS = 4096  # that are worth a thread of their own
REMEMBERED = 1 << 15  # pairs found unlike that are not compared again; a power of 2
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
    similarity: F64


def pairs_within(sorted_entries: U64, row_of: I64, rows: Rows, settings: DedupeSettings, *, threads: int = 0) -> Edges:
    """Verified pairs of one set of texts, enough of them to connect all that are connected.

    Every member of a bucket is compared with its first `bucket_cap` members, unless both are connected already.

    Args:
        sorted_entries: from `entries`; the rows in it are ranks.
        row_of: the row of each rank.
        rows: what is compared.
        settings: thresholds and cap.
        threads: parts that the buckets are divided into, each worked on by a thread; 0 for one per core.
    """
    limits = settings.bucket_cap, settings.short_threshold, settings.long_threshold
    size = len(rows.meta)

    def work(part: U64) -> Edges:
        left, right, similarity = np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size)
        count = _within(part, row_of, np.arange(size), *_arrays(rows), *limits, left, right, similarity)
        return Edges(left[:count], right[:count], similarity[:count])

    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        found = list(pool.map(work, _parts(sorted_entries, threads or os.cpu_count() or 1)))
    return Edges(*(np.concatenate([getattr(part, name) for part in found]) for name in ("left", "right", "similarity")))


def _parts(sorted_entries: U64, count: int) -> list[U64]:
    """About equal parts that divide no bucket."""
    if not len(sorted_entries):
        return [sorted_entries]
    firsts = sorted_entries[np.arange(1, count) * len(sorted_entries) // count] & ~np.uint64(MOST_ROWS - 1)
    return np.split(sorted_entries, np.searchsorted(sorted_entries, firsts))


def pairs_across(
    new_entries: U64, row_of: I64, new: Rows, old_entries: U64, old: Rows, settings: DedupeSettings
) -> Edges:
    """Verified pairs of a new text (left) with one of the index (right): all, but for the cap."""
    # in the order of the old rows: there are many more of them, and they lie in a file
    pairs = np.unique(across(new_entries, row_of.astype(np.uint64), old_entries, settings.bucket_cap), sorted=True)
    left, right = (pairs & np.uint64(0xFFFFFFFF)).astype(np.int64), (pairs >> np.uint64(32)).astype(np.int64)
    similarity, hits = compare(left, right, new, old, settings)
    return Edges(left[hits], right[hits], similarity[hits])


def compare(left: I64, right: I64, a: Rows, b: Rows, settings: DedupeSettings) -> tuple[F64, npt.NDArray[np.bool_]]:
    """The Jaccard similarity of each pair of a row of `a` and one of `b`, and whether they are duplicates."""
    similarity, duplicates = np.empty(len(left)), np.empty(len(left), np.bool_)
    thresholds = settings.short_threshold, settings.long_threshold

    def work(part: slice) -> None:
        out = similarity[part], duplicates[part]
        _compare(left[part], right[part], *_arrays(a), *_arrays(b), *thresholds, *out)

    cores = min(os.cpu_count() or 1, 1 + len(left) // PAIRS)
    ends = [number * len(left) // cores for number in range(cores + 1)]
    with ThreadPoolExecutor(cores) as pool:
        deque(pool.map(work, map(slice, ends, ends[1:])), maxlen=0)
    return similarity, duplicates


def _arrays(rows: Rows) -> tuple[Meta, I64, U32]:
    return rows.meta, rows.offsets, rows.sketches


@kernel
def _short_pair(a: U32, b: U32) -> Any:
    """Jaccard similarity of two sets of 1-2-grams, and how many content words only a and only b have."""
    at, bt, common, only_a, only_b = 0, 0, 0, 0, 0
    while at < len(a) and bt < len(b):
        if a[at] ^ b[bt] <= 1:  # the mark aside
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


@kernel
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


@kernel
def _pair(x: Any, x_sketch: U32, y: Any, y_sketch: U32, short_threshold: float, long_threshold: float) -> Any:
    """Similarity of two texts (0 for some that are too unlike to compare), and whether they are duplicates."""
    if x.exact[0] == y.exact[0] and x.exact[1] == y.exact[1]:
        return 1.0, True
    shorter, longer = min(x.words, y.words), max(x.words, y.words)
    if shorter > SHORT_WORDS or longer > SHORT_MOST:
        if shorter < LONG_LEAST:
            return 0.0, False
        similarity, contained = _long_pair(x_sketch[x.short :], y_sketch[y.short :])
        return similarity, similarity >= long_threshold or contained == 1.0
    same_content = x.content != 0 and x.content == y.content
    if not same_content and (
        x.guard != y.guard or min(x.short, y.short) < np.float64(short_threshold) * max(x.short, y.short)
    ):
        return 0.0, False  # before their shingles are read, which costs most
    similarity, only_x, only_y = _short_pair(x_sketch[: x.short], y_sketch[: y.short])
    if same_content:
        return similarity, True
    if similarity < short_threshold or (only_x and only_y):
        return similarity, False
    extra = only_x + only_y
    return similarity, extra * WORDS_PER_EXTRA <= longer if extra else similarity >= SAME_WORDS


@kernel
def _find(parents: I64, row: int) -> int:
    while parents[row] != row:
        parents[row] = parents[parents[row]]
        row = parents[row]
    return row


@kernel
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
    unlike = np.zeros(REMEMBERED, np.uint64)  # pairs that meet in one bucket often meet in more
    for end in range(1, len(sorted_entries) + 1):
        if end < len(sorted_entries) and (sorted_entries[end] ^ sorted_entries[begin]) <= mask:
            continue
        for member in range(begin + 1, end):
            j = row_of[np.int64(sorted_entries[member] & mask)]
            for first in range(begin, min(member, begin + cap)):
                i = row_of[np.int64(sorted_entries[first] & mask)]
                pair = np.uint64(i) << np.uint64(32) | np.uint64(j)
                place = np.int64(mix(pair) & np.uint64(REMEMBERED - 1))
                if unlike[place] == pair or _find(parents, i) == _find(parents, j):
                    continue
                x, y = sketches[offsets[i] : offsets[i + 1]], sketches[offsets[j] : offsets[j + 1]]
                found, duplicates = _pair(meta[i], x, meta[j], y, short_threshold, long_threshold)
                if duplicates:
                    parents[_find(parents, j)] = _find(parents, i)
                    left[count], right[count], similarity[count] = i, j, found
                    count += 1
                else:
                    unlike[place] = pair
        begin = end
    return count


@kernel
def _compare(
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
    similarity: Any,
    duplicates: Any,
) -> None:
    for at in range(len(left)):
        i, j = left[at], right[at]
        x, y = a_sketches[a_offsets[i] : a_offsets[i + 1]], b_sketches[b_offsets[j] : b_offsets[j + 1]]
        similarity[at], duplicates[at] = _pair(a[i], x, b[j], y, short_threshold, long_threshold)
