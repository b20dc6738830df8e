"""Keeping a lake small and quiet: fewer files, no raw text beyond its time, no old versions, no weights nobody needs.

Everything here can be run at any time and again: it goes by the same commits as the steps, and where one of those is
quicker it leaves the rest for the next time. Readers of an old version have `vacuum`'s hours to come to an end.
"""

import json
import logging
from collections import Counter
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

import polars as pl
from deltalake.exceptions import CommitFailedError

from configs.settings import MaintainSettings
from storage import files, registry, verdicts
from storage.lake import Lake
from storage.publish import writing
from storage.rewrite import rewrite
from storage.snapshot import SYNTHETIC
from storage.tables import TABLES

log = logging.getLogger(__name__)
MANY_FILES = 8
FILE_BYTES = 256 * 2**20  # of a compacted file
NOTES = ("superseded", "also", "restored_from")
"""What stays of a row's metadata: ids, by which feedback finds it."""


def maintain(lake: Lake, settings: MaintainSettings) -> dict[str, int]:
    """All of it.

    Args:
        lake: what to maintain.
        settings: how long to keep what.

    Returns:
        What was done, by name: rows emptied, tables merged, models pruned, bytes freed.
    """
    now = datetime.now(UTC)
    past = expired(lake, now - timedelta(days=settings.retention_days))
    emptied = sum(empty_text(lake, table, past) for table in TABLES if TABLES[table].raw)
    merged = sum(compact(lake, table) for table in TABLES)
    models = prune_models(lake, now - timedelta(days=settings.model_days), settings.keep_champions)
    freed = sum(vacuum(lake, table, settings.vacuum_hours) for table in TABLES)
    return {
        "rows_emptied": emptied,
        "tables_merged": merged,
        "models_pruned": len(models),
        "bytes_freed": freed + models.total(),
    }


def compact(lake: Lake, table: str) -> bool:
    """Merge a table's small files where there are many of them, and say whether there were."""
    delta = lake.delta(table)
    if delta is None:
        return False
    partitions = TABLES[table].partitions
    actions = pl.DataFrame(delta.get_add_actions(flatten=True))
    parts = [f"partition.{name}" for name in partitions]
    crowded = actions.group_by(parts or pl.lit(0)).len().filter(pl.col("len") > MANY_FILES)
    for row in crowded.iter_rows(named=True):
        chosen = [(name, "=", row[f"partition.{name}"] or "") for name in partitions]
        try:
            delta.optimize.compact(
                partition_filters=chosen or None, target_size=FILE_BYTES, writer_properties=writing(delta)
            )
        except CommitFailedError:
            log.info("maintain: %s is being written: its files are merged next time", table)
            return False
    return bool(crowded.height)


def expired(lake: Lake, before: datetime) -> set[str]:
    """Batches taken in before a time and curated since.

    One that was not curated keeps its text, or it would be lost.
    """
    planned = lake.read("sources").group_by("batch").agg(pl.col("planned_at").max())
    old = set(planned.filter(pl.col("planned_at") < before).select("batch").collect()["batch"])
    done = set(lake.read("books", step="score").select(pl.col("batch").unique()).collect()["batch"])
    for batch in sorted(old - done):
        log.warning("maintain: batch %s was never curated: its text stays; `flywheel run` it, or erase it", batch)
    return old & done


def empty_text(lake: Lake, table: str, batches: Collection[str]) -> int:
    """Take the raw text of batches, and of what was generated from them, out of a table; ids, users and consent stay.

    Returns:
        How many rows lost theirs.
    """
    raw = [name for name in TABLES[table].raw if name != "metadata"]
    texts = pl.any_horizontal(pl.col(name).is_not_null() for name in raw)
    of_batches = pl.col("batch").str.split(SYNTHETIC).list.first().is_in(sorted(batches))
    left = lake.read(table).filter(of_batches, texts).group_by("batch").len().collect()

    def emptied(rows: pl.DataFrame) -> pl.DataFrame:
        gone = rows.with_columns(pl.lit(None, dtype=rows.schema[name]).alias(name) for name in raw)
        if "metadata" not in TABLES[table].raw:
            return gone
        return gone.with_columns(pl.col("metadata").map_elements(_notes, return_dtype=pl.String))

    rewrite(lake, table, left["batch"], emptied)
    return int(left["len"].sum())


def is_emptied(lake: Lake, batch: str) -> bool:
    """Whether the raw text of a collected batch is gone."""
    rows = lake.read("interactions", batch=batch)
    left, total = rows.select(pl.col("messages").is_not_null().sum(), total=pl.len()).collect().row(0)
    return bool(total) and not left


def vacuum(lake: Lake, table: str, hours: int) -> int:
    """Remove the files that no version younger than so many hours needs, and say how many bytes they had.

    A reader that is older fails: its files are gone. So `hours` must be more than any step takes.
    """
    delta = lake.delta(table)
    if delta is None:
        return 0
    gone = delta.vacuum(hours, enforce_retention_duration=False, full=True)
    if not gone:
        return 0
    sizes = files.listed(lake, "tables", table)
    delta.vacuum(hours, dry_run=False, enforce_retention_duration=False, full=True)
    delta.create_checkpoint()
    delta.cleanup_metadata()
    return sum(sizes.get(path, sizes.get(unquote(path), 0)) for path in gone)


def prune_models(lake: Lake, before: datetime, keep_champions: int) -> Counter[str]:
    """Remove the weights of models that are older than a time and nobody needs.

    Needed are the champion, those that served right before it, those that wait for a person, and all of a run that is
    not finished. Reward heads are small, and models from elsewhere are not ours. The registry keeps every model: what
    it was trained on stays known.

    Returns:
        Bytes freed, by model.
    """
    needed = {*verdicts.served(lake)[-1 - keep_champions :], *verdicts.waiting(lake)}
    finished = lake.read("runs", step="finish").select(pl.col("batch").unique()).collect()["batch"]
    old = lake.read("models").filter(
        pl.col("kind") != registry.HEAD,
        pl.col("created_at") < before,
        pl.col("batch").is_in(finished.implode()),
        ~pl.col("id").is_in(sorted(needed)),
        pl.col("path").str.starts_with("models/"),
    )
    freed = {name: files.remove(lake, path) for name, path in old.select("id", "path").collect().iter_rows()}
    return Counter({name: size for name, size in freed.items() if size})


def _notes(metadata: str) -> str | None:
    kept = {name: value for name, value in json.loads(metadata).items() if name in NOTES}
    return json.dumps(kept) if kept else None
