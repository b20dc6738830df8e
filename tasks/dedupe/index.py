"""The dedupe index: what the `signatures` table holds, as sorted runs that can be searched without reading them whole.

The table is the truth: exactly once, erasable by id, on any object store. A run is a local, memory-mapped copy of one
of its Parquet files, with the bucket keys sorted. Those files never change, so a run is valid as long as its file
belongs to the table: what is replaced, erased or compacted in the table is in new files, and the old runs go.
"""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from configs.settings import DedupeSettings
from storage.lake import Lake, LakeError
from storage.snapshot import digest
from tasks.dedupe.compare import Rows
from tasks.dedupe.entries import entries
from tasks.dedupe.scheme import META, SCHEME
from tasks.text.hashing import U64

FOLDER = "index"


@dataclass(frozen=True)
class Run:
    """One Parquet file of the table, searchable.

    Args:
        rows: what is compared.
        entries: sorted bucket entries of these rows.
        ids: id, kept_id, batch and step of each row, memory-mapped.
    """

    rows: Rows
    entries: U64
    ids: pa.Table

    def name(self, rows: npt.NDArray[Any]) -> pl.DataFrame:
        """id, kept_id, batch and step of some rows."""
        return pl.DataFrame(self.ids.take(pa.array(rows)))


def scheme(settings: DedupeSettings, secret: bytes) -> str:
    """What must be equal for two signatures to be compared."""
    return f"{SCHEME}; of {settings.compare}; secret {digest('scheme', secret)[:8]}"


def open_index(lake: Lake, expected: str) -> list[Run]:
    """All runs of the lake's index; those that are missing are made, those that are out of date are removed.

    Raises:
        LakeError: the index was made in another way than `expected`.
    """
    delta = lake.delta("signatures")
    files = {digest(uri)[:20]: uri for uri in delta.file_uris()} if delta is not None else {}
    folder = lake.folder(FOLDER)
    for name, uri in files.items():
        if not (folder / name).exists():
            _build(folder / name, uri, lake)
    remove_stale(lake)
    return [_open(lake, folder / name, expected) for name in sorted(files)]


def remove_stale(lake: Lake) -> None:
    """Remove the runs of files that the table has no more, because rows of them were erased or it was compacted."""
    delta = lake.delta("signatures")
    current = {digest(uri)[:20] for uri in delta.file_uris()} if delta is not None else set()
    for run in lake.folder(FOLDER).iterdir():
        if run.name not in current:
            shutil.rmtree(run, ignore_errors=True)


def _build(target: Path, uri: str, lake: Lake) -> None:
    """Make the run of one file; it appears at once or not at all."""
    frame = pl.read_parquet(uri, storage_options=lake.options or None)
    keys, key_ends = _packed(frame["keys"], np.dtype(np.uint64))
    sketches, sketch_ends = _packed(frame["sketch"], np.dtype(np.uint32))
    meta, _ = _packed(frame["meta"], META)
    making = target.with_name(f"{target.name}-{os.getpid()}")
    making.mkdir()
    np.save(making / "entries.npy", entries(keys, key_ends, np.arange(frame.height)))
    np.save(making / "meta.npy", meta)
    np.save(making / "offsets.npy", sketch_ends)
    np.save(making / "sketches.npy", sketches)
    ids = frame.select("id", "kept_id", "batch", "step").rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    with pa.OSFile(str(making / "ids.arrow"), "wb") as out, pa.ipc.new_file(out, ids.schema) as writer:
        writer.write_table(ids)
    (making / "schemes.json").write_text(json.dumps(frame["scheme"].unique().to_list()))
    try:
        making.rename(target)
    except OSError:  # somebody else was faster
        shutil.rmtree(making)


def _open(lake: Lake, folder: Path, expected: str) -> Run:
    for made in json.loads((folder / "schemes.json").read_text()):
        if made != expected:
            raise LakeError(
                f"The dedupe index of {lake.uri} was made by [{made}], these settings need [{expected}]: "
                "set dedupe.compare and FLYWHEEL_SECRET back, or begin a new index by deleting the folder "
                f"{lake.path('tables', 'signatures')}."
            )
    arrays = [np.load(folder / f"{name}.npy", mmap_mode="c") for name in ("meta", "offsets", "sketches", "entries")]
    with pa.memory_map(str(folder / "ids.arrow")) as source:
        ids = pa.ipc.open_file(source).read_all()
    return Run(Rows(*arrays[:3]), arrays[3], ids)


def _packed(column: pl.Series, kind: np.dtype[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """A Binary column of packed arrays: their values end to end, and n + 1 offsets."""
    array = column.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.large_binary())
    _, offsets, data = array.buffers()
    ends = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
    values = np.frombuffer(data or b"", np.uint8)[ends[0] : ends[-1]].view(kind)
    return values, (ends - ends[0]) // kind.itemsize
