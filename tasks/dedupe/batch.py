"""A batch's texts, signed chunk by chunk on all cores; what is large goes to temporary files."""

import mmap
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from tasks.dedupe.compare import Rows
from tasks.dedupe.entries import MOST_ROWS
from tasks.dedupe.scheme import META
from tasks.dedupe.sign import sign
from tasks.engine.spread import spread
from tasks.text.hashing import I64, U64

CHUNK = 2048  # rows that one thread signs at a time


class BatchTooLargeError(Exception):
    """More rows in one batch than an entry of the index can number."""


@dataclass(frozen=True)
class Batch:
    """The signed rows of a batch.

    Args:
        table: id, occurred_at, length and `first` (the row number of the first equal text) of every row.
        rows: what is compared.
        keys: bucket keys, row after row.
        key_offsets: n + 1 offsets into `keys`.
        distinct: the rows that are the first of their text, in an order that depends on the texts only.
    """

    table: pl.DataFrame
    rows: Rows
    keys: U64
    key_offsets: I64
    distinct: I64

    def release_keys(self) -> None:
        """Give the memory of the keys back; who needs them again reads them from their file."""
        if isinstance(self.keys.base, mmap.mmap):
            self.keys.base.madvise(mmap.MADV_DONTNEED)

    def packed(self) -> pl.DataFrame:
        """meta, keys and sketch of every row as the `signatures` table holds them."""
        size = self.table.height
        return pl.DataFrame(
            {
                "meta": _binary(self.rows.meta, np.arange(size + 1)),
                "keys": _binary(self.keys, self.key_offsets),
                "sketch": _binary(self.rows.sketches, self.rows.offsets),
            }
        )


def sign_batch(
    chunks: Iterable[pl.DataFrame],
    secret: bytes,
    *,
    purpose: str,
    near: bool,
    folder: Path,
    engine: str = "local",
    threads: int = 0,
) -> Batch:
    """Sign all rows of a batch.

    Args:
        chunks: frames with id, text, occurred_at and, where not all are compared, among; see `sign`.
        secret: the lake's.
        purpose: see `sign`.
        near: see `sign`.
        folder: where the temporary files may grow; they vanish with the process.
        engine: where they are signed; see `spread`.
        threads: how many chunks are signed at a time; see `spread`.

    Raises:
        BatchTooLargeError: more than 16 million rows.
    """
    tables: list[pl.DataFrame] = []
    metas, orders = [np.empty(0, META)], [np.empty(0, np.uint64)]
    keys, sketches = _Growing(folder, np.dtype(np.uint64)), _Growing(folder, np.dtype(np.uint32))

    def work(chunk: pl.DataFrame) -> Any:
        about = chunk.select("id", "occurred_at", length=pl.col("text").str.len_chars().fill_null(0))
        among = chunk.get_column("among", default=None)
        return about, sign(chunk["text"], secret, among=among, purpose=purpose, near=near)

    for about, signed in spread(work, _sliced(chunks), engine=engine, threads=threads):
        tables.append(about)
        metas.append(signed.meta)
        orders.append(signed.order)
        keys.append(signed.keys, signed.key_offsets)
        sketches.append(signed.sketches, signed.sketch_offsets)
    meta, order = np.concatenate(metas), np.concatenate(orders)
    if len(meta) >= MOST_ROWS:
        raise BatchTooLargeError(f"{len(meta):,} rows in a batch, at most {MOST_ROWS - 1:,} can be compared: split it.")
    first = _first_equal(meta)
    distinct = np.flatnonzero(first == np.arange(len(first)))
    return Batch(
        table=pl.concat([_NO_ROWS, *tables]).with_columns(first=first),
        rows=Rows(meta, sketches.offsets(), sketches.values()),
        keys=keys.values(),
        key_offsets=keys.offsets(),
        distinct=distinct[np.argsort(order[distinct], kind="stable")],
    )


_NO_ROWS = pl.DataFrame(schema={"id": pl.String, "occurred_at": pl.Datetime("us", "UTC"), "length": pl.UInt32})


class _Growing:
    """An array of arrays that grows in a temporary file."""

    def __init__(self, folder: Path, kind: np.dtype[Any]) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - lives as long as the array
        self._kind = kind
        self._size = 0
        self._offsets = [np.zeros(1, np.int64)]

    def append(self, values: npt.NDArray[Any], offsets: I64) -> None:
        values.tofile(self._file)
        self._offsets.append(offsets[1:] + self._size)
        self._size += len(values)

    def offsets(self) -> I64:
        return np.concatenate(self._offsets)

    def values(self) -> npt.NDArray[Any]:
        self._file.flush()
        if not self._size:  # an empty file cannot be mapped
            return np.empty(0, self._kind)
        return np.memmap(self._file, self._kind, mode="c", shape=(self._size,))


def _first_equal(meta: npt.NDArray[np.void]) -> I64:
    """For each row the number of the first row with the same exact hash."""
    frame = pl.DataFrame({"a": meta["exact"][:, 0], "b": meta["exact"][:, 1]}).with_row_index("row")
    return frame.select(pl.col("row").min().over("a", "b").cast(pl.Int64)).to_series().to_numpy()


def _binary(values: npt.NDArray[Any], offsets: npt.NDArray[Any]) -> pl.Series:
    """Packed arrays as a Binary column, without a copy, in chunks that an Arrow view can address."""
    size, chunks = values.dtype.itemsize, []
    for begin in range(0, len(offsets) - 1, CHUNK * 8):
        ends = offsets[begin : begin + CHUNK * 8 + 1]
        data = pa.py_buffer(values[ends[0] : ends[-1]])
        places = pa.py_buffer(np.ascontiguousarray((ends - ends[0]) * size, np.int64))
        chunks.append(pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(ends) - 1, [None, places, data]))
    return pl.Series(pa.chunked_array(chunks, pa.large_binary()), dtype=pl.Binary)


def _sliced(chunks: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    for chunk in chunks:
        yield from chunk.iter_slices(CHUNK)
