"""Bucket entries: sorted numbers that say which row has which key, and which rows of two sets share one.

A bucket is a run of equal keys. An entry is 64 bits: the first 40 of a key, then 24 of the row. Two keys that share 40
bits by chance cost one comparison, no more.
"""

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from tasks.text.hashing import I64, U64
from tasks.text.kernel import kernel

ROW_BITS = 24
MOST_ROWS = 1 << ROW_BITS
PARTS = 256  # what entries are divided into, by the first byte of their keys, to be sorted side by side
STEPS = 16  # entries to pass one by one before striding
ONE = np.uint64(1)


def entries(keys: U64, offsets: I64, rows: I64) -> U64:
    """Sorted entries of some texts.

    Args:
        keys: bucket keys, row after row.
        offsets: n + 1 places where each row's keys begin and end.
        rows: the rows that are wanted, fewer than MOST_ROWS; the entries number them in this order.
    """
    parts = np.zeros(PARTS + 1, np.int64)
    _count_entries(keys, offsets, rows, parts)
    ends = np.cumsum(parts)
    made = np.empty(ends[-1], np.uint64)
    _write_entries(keys, offsets, rows, ends[:-1].copy(), made)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        deque(pool.map(lambda part: made[ends[part] : ends[part + 1]].sort(), range(PARTS)), maxlen=0)
    return made


@kernel
def across(new: U64, row_of: U64, old: U64, cap: int) -> U64:
    """Pairs (old row << 32 | new row) that share a key; both arrays are sorted."""
    pairs = np.empty(1024, np.uint64)
    count, low, mask = 0, np.uint64(0), np.uint64(MOST_ROWS - 1)
    for entry in new:
        key = entry & ~mask
        low = _seek(old, low, key)
        for at in range(low, min(low + np.uint64(cap), np.uint64(len(old)))):
            if old[at] & ~mask != key:
                break
            if count == len(pairs):
                grown = np.empty(2 * count, np.uint64)
                grown[:count] = pairs
                pairs = grown
            pairs[count] = ((old[at] & mask) << np.uint64(32)) | row_of[entry & mask]
            count += 1
    return pairs[:count]


@kernel
def _seek(old: U64, low: Any, key: Any) -> Any:
    """The first place from `low` on whose entry is not below the key: a few steps, then strides that double."""
    size = np.uint64(len(old))
    near = min(low + np.uint64(STEPS), size)
    while low < near and old[low] < key:
        low += ONE
    if low < near or low == size:
        return low
    step = ONE
    while low + step < size and old[low + step] < key:
        step += step
    high = min(low + step, size)
    while low < high:
        middle = (low + high) >> ONE
        if old[middle] < key:
            low = middle + ONE
        else:
            high = middle
    return low


@kernel
def _count_entries(keys: U64, offsets: I64, rows: I64, parts: I64) -> None:
    """How many entries begin with each byte, at the place after that byte's."""
    for row in rows:
        for at in range(offsets[row], offsets[row + 1]):
            parts[(keys[at] >> np.uint64(56)) + np.uint64(1)] += 1


@kernel
def _write_entries(keys: U64, offsets: I64, rows: I64, places: I64, made: U64) -> None:
    """Entries by their first byte: those of each byte from `places` on."""
    mask = np.uint64(MOST_ROWS - 1)
    for rank in range(len(rows)):
        for at in range(offsets[rows[rank]], offsets[rows[rank] + 1]):
            part = keys[at] >> np.uint64(56)
            made[places[part]] = (keys[at] & ~mask) | np.uint64(rank)
            places[part] += 1
