"""Texts that look the same become the same: Unicode compatibility forms (NFKC), as far as characters join.

What a character becomes by itself, and its case, is folded where words are read: see `tasks.text.unicode`.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from tasks.text.kernel import kernel
from tasks.text.unicode import joining

I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]
ONE = np.uint64(1)  # unsigned places are quicker: see `tasks.text.words`


def normalize(texts: pl.Series) -> tuple[U8, I64]:
    """NFKC of the texts in which characters join; the others as they are; null becomes the empty text.

    Most texts have no such characters, and finding that out is twenty times faster than normalising them.

    Returns:
        The UTF-8 bytes, text after text, and n + 1 offsets into them.
    """
    filled = texts.cast(pl.String).fill_null("")
    data, offsets = buffers(filled)
    changed = np.flatnonzero(_has_joining(data, offsets, joining()))
    if len(changed) == 0:
        return data, offsets
    return buffers(filled.scatter(changed, filled.gather(changed).str.normalize("NFKC")))


def buffers(texts: pl.Series) -> tuple[U8, I64]:
    """The bytes of a string column end to end, and n + 1 offsets; Polars keeps strings as views."""
    array = texts.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.large_string())
    _, offsets, data = array.buffers()
    places = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
    return np.frombuffer(data or b"", np.uint8), places


@kernel
def _has_joining(data: U8, offsets: I64, joining: Any) -> Any:
    """Which texts have a joining character."""
    out = np.zeros(len(offsets) - 1, np.bool_)
    for row in range(len(out)):
        at, end, bits = np.uint64(offsets[row]), np.uint64(offsets[row + 1]), np.uint8(0)
        for place in range(at, end):
            bits |= data[place]
        if bits < 0x80:  # ASCII only, as most are
            continue
        while at < end:
            first = np.uint32(data[at])
            if first < 0x80:
                at += ONE
                continue
            size = 2 if first < 0xE0 else 3 if first < 0xF0 else 4
            point = first & np.uint32(0x7F >> size)
            at += ONE
            for _ in range(1, size):
                point = (point << np.uint32(6)) | np.uint32(data[at] & 0x3F)
                at += ONE
            if point < len(joining) and joining[point]:
                out[row] = True
                break
    return out
