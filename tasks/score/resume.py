"""Long scoring that was killed goes on where it was: finished parts lie in a folder of the lake until all are there."""

import logging
from collections.abc import Callable
from pathlib import Path

import polars as pl

from storage.snapshot import digest

log = logging.getLogger(__name__)
PART = 5000  # rows; sorted by length among themselves, so a part must be large to waste little


def in_parts(
    rows: pl.DataFrame, folder: Path, identity: str, work: Callable[[pl.DataFrame, str], pl.DataFrame]
) -> pl.DataFrame:
    """The scores of all rows, made part by part; parts that are in `folder` already are taken from there.

    Args:
        rows: what is scored.
        folder: where finished parts are kept; they hold scores, no texts.
        identity: of all that the scores depend on besides the rows: model, settings ...
        work: from some rows, and a label for the log, to as many rows of scores.
    """
    parts = list(rows.iter_slices(PART))
    found = []
    for number, part in enumerate(parts, 1):
        file = folder / f"{digest(identity, part.write_json())}.parquet"
        if file.exists():
            log.info("score: part %s of %s was finished before", number, len(parts))
        else:
            unfinished = file.with_suffix(".unfinished")
            work(part, f"score: part {number} of {len(parts)}").write_parquet(unfinished)
            unfinished.rename(file)
        found.append(pl.read_parquet(file))
    return pl.concat(found)
