"""Long scoring that was killed goes on where it was: finished parts lie in a folder of the lake until all are there."""

import logging
from collections.abc import Callable, Iterator, Sequence

import polars as pl

from storage.progress import progress
from storage.snapshot import digest
from tasks.engine.spread import spread
from tasks.score.place import Place

log = logging.getLogger(__name__)
PART = 1000  # rows; sorted by length among themselves, so a part must be large to waste little


def in_parts(
    rows: pl.DataFrame,
    place: Place,
    identity: str,
    work: Callable[[pl.DataFrame, str], pl.DataFrame],
) -> pl.DataFrame:
    """The scores of all rows, made part by part; parts that were finished before are taken over.

    Args:
        rows: what is scored.
        place: where parts are made, here one after the other, and where finished ones lie; they hold scores, no texts.
        identity: of all that the scores depend on besides the rows: model, settings ...
        work: from some rows, and a label for the log, to as many rows of scores.
    """
    parts = list(rows.iter_slices(PART))
    files = [place.folder / f"{digest(identity, part.write_json())}.parquet" for part in parts]
    missing = [at for at, file in enumerate(files) if not file.exists()]
    if len(missing) < len(parts):
        log.info("score: %s of %s parts were finished before", len(parts) - len(missing), len(parts))
    jobs = [(parts[at], f"score: part {at + 1} of {len(parts)}") for at in missing]
    made = (work(*job) for job in jobs) if place.engine == "local" else _far(work, jobs, place.engine)
    for at, scores in zip(missing, made, strict=True):
        unfinished = files[at].with_suffix(".unfinished")
        scores.write_parquet(unfinished)
        unfinished.rename(files[at])
    return pl.concat([pl.read_parquet(file) for file in files])


def _far(
    work: Callable[[pl.DataFrame, str], pl.DataFrame], jobs: Sequence[tuple[pl.DataFrame, str]], engine: str
) -> Iterator[pl.DataFrame]:
    done = spread(lambda job: work(*job), jobs, engine=engine, gpu=True)
    yield from progress(done, len(jobs), "score: on the cluster", "parts")
