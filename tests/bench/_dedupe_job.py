"""One job of the dedupe benchmark in a process of its own, so that its time and its memory are its own.

    python -m tests.bench._dedupe_job texts FILE        # Parquet file to kept ids
    python -m tests.bench._dedupe_job batch LAKE BATCH  # the whole step on a batch of a lake

prints `begin`, then a line of JSON: seconds, peak_gb.
"""

import json
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import polars as pl

from configs.settings import DedupeSettings
from tasks.dedupe.batch import Batch, sign_batch
from tasks.dedupe.find import Found, find

SETTINGS = DedupeSettings()
RUNS = 3  # in one process, as the peers do; the best one counts


def kept_ids(path: Path) -> Found:
    """What stays of a Parquet file with id and text."""
    frame = pl.scan_parquet(path).select("id", "text", occurred_at=pl.lit(None, pl.Datetime("us", "UTC")))
    batch = _sign(frame.collect_batches(chunk_size=16_384))
    return find(
        batch,
        [],
        SETTINGS,
        owner=("bench", "bench"),
        with_feedback=lambda ids: ids.clear(),
        final=lambda ids: pl.DataFrame({"id": ids.clear(), "kept_id": ids.clear()}),
    )


def sign_texts(texts: pl.DataFrame) -> Batch:
    """The signed rows of a frame with id and text."""
    return _sign([texts.with_columns(occurred_at=pl.lit(None, pl.Datetime("us", "UTC")))])


def _sign(chunks: Iterable[pl.DataFrame]) -> Batch:
    with tempfile.TemporaryDirectory() as folder:
        return sign_batch(chunks, b"bench", purpose="bench", near=True, folder=Path(folder))


def batch(uri: str, name: str) -> None:
    from storage.lake import Lake
    from storage.snapshot import Snapshot, digest
    from tasks.dedupe.index import open_index, scheme
    from tasks.dedupe.task import dedupe

    warm_up()
    lake = Lake(uri)
    open_index(lake, scheme(SETTINGS, lake.secret()))  # the runs of earlier nights
    rows = Snapshot(table="interactions", step="collect", batch=name, version=0, fingerprint=digest(name))
    begin()
    start = time.perf_counter()
    dedupe.fn(lake, rows, SETTINGS)
    done(time.perf_counter() - start)


def texts(path: Path) -> None:
    warm_up()
    begin()
    seconds = []
    for _ in range(RUNS):
        start = time.perf_counter()
        kept_ids(path)
        seconds.append(time.perf_counter() - start)
    done(min(seconds))


def warm_up() -> None:
    """Load the compiled kernels, as a process does once."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "texts.parquet"
        words = [f"word{number}" for number in range(100)]
        pl.DataFrame({"id": ["a", "b", "c"], "text": [" ".join(words), " ".join(words[:99]), "é½"]}).write_parquet(path)
        kept_ids(path)


def begin() -> None:
    sys.stdout.write("begin\n")
    sys.stdout.flush()


def done(seconds: float) -> None:
    # not ru_maxrss, which begins with the memory of the process that started this one
    status = Path("/proc/self/status").read_text().splitlines()
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 2**20
    sys.stdout.write(json.dumps({"seconds": seconds, "peak_gb": peak}) + "\n")


if __name__ == "__main__":
    if sys.argv[1] == "texts":
        texts(Path(sys.argv[2]))
    else:
        batch(sys.argv[2], sys.argv[3])
