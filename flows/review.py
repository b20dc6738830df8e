"""Review by people: rows go out, decisions come in."""

from collections.abc import Mapping
from pathlib import Path

from storage.lake import Lake, LakeError
from tasks.review.decide import record
from tasks.review.formats import FORMATS, ReviewError, read, write
from tasks.review.rows import uncertain_rows

BY_SUFFIX = {".csv": "csv", ".jsonl": "jsonl"}


def export_rows(lake: Lake, file: Path, count: int, format: str | None) -> int:
    """Write the most uncertain rows into `file`, and return how many there were.

    Raises:
        ReviewError: it is not clear in which format.
        LakeError: there is nothing to review.
    """
    chosen = format or BY_SUFFIX.get(file.suffix)
    if chosen not in FORMATS:
        raise ReviewError(f"{file}: say in which format with --format, one of {', '.join(FORMATS)}.")
    rows = uncertain_rows(lake, count)
    if not rows.height:
        raise LakeError(f"Nothing in {lake.uri} waits for a review: no row was curated, or all were reviewed.")
    write(rows, file, chosen)
    return rows.height


def import_decisions(lake: Lake, file: Path, reviewer: str) -> Mapping[str, int]:
    """Take the decisions of `file`, and return how many became what; see `tasks.review.decide.record`.

    Raises:
        ReviewError: the file cannot be read.
        LakeError: nothing was curated yet.
    """
    return record(lake, read(file), reviewer)
