"""All that is new, batch by batch: finishes what a killed run planned, then plans on until nothing is left."""

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from configs.settings import CollectSettings
from configs.sources import HTTP
from storage.lake import Lake
from storage.publish import published, run_step
from storage.snapshot import Snapshot, fingerprint
from tasks.collect.batch import collect_batch
from tasks.collect.http.drain import alone, folder, reading, remove_closed, with_spool
from tasks.collect.plan import STEP, has_news, locate, pieces_of, plan, withdraw
from tasks.records.files import File, SourceError, by_source

Files = Mapping[str, Sequence[File]]
log = logging.getLogger(__name__)


def collect_new(lake: Lake, settings: CollectSettings) -> Snapshot | None:
    """What the door `collect` does, without Prefect; see there."""
    settings = with_spool(lake, settings)
    spool = folder(lake, settings.http)
    with reading(spool) as lock:
        files = by_source(settings.sources)
        newest = None
        while (batch := _next(lake, settings, files)) is not None:
            newest = _collected(lake, batch, files, settings) or newest
        if spool is not None and lock is not None and alone(lock):
            _remove_published(lake, settings, files, spool)
    if newest is None:
        log.info("collect: nothing to do, %s sources have nothing new", len(settings.sources))
    return newest


def anything_new(lake: Lake, settings: CollectSettings) -> bool:
    """Whether `collect_new` would take anything in; nothing is written."""
    settings = with_spool(lake, settings)
    with reading(folder(lake, settings.http)):
        files = by_source(settings.sources)
        return bool(_pending(lake)) or has_news(lake, settings.sources, files, settings.batch_bytes)


def _next(lake: Lake, settings: CollectSettings, files: Files) -> str | None:
    """The oldest batch that was planned and not published, else a new one; None when all that is new is published."""
    if pending := _pending(lake):
        return pending[0]
    if (batch := plan(lake, settings.sources, files, settings.batch_bytes)) is not None:
        return batch
    # Nothing is left to plan, perhaps because another collector planned the rest just now, and it may die halfway.
    return next(iter(_pending(lake)), None)


def _collected(lake: Lake, batch: str, files: Files, settings: CollectSettings) -> Snapshot | None:
    """Publish a batch; None when none of what was planned for it is there any more."""
    pieces = [(piece, locate(piece, _files_of(files, piece.source, batch))) for piece in pieces_of(lake, batch)]
    if gone := [piece for piece, file in pieces if file is None]:
        withdraw(lake, batch, gone)
    there = [(piece, file) for piece, file in pieces if file is not None]
    if not there:
        return None
    return run_step(
        lake,
        step=STEP,
        batch=batch,
        table="interactions",
        settings=[],  # a batch is what its plan says: other settings count for the next one
        inputs=[],
        extra=[batch],
        work=partial(collect_batch, lake, batch, there, settings),
    )


def _remove_published(lake: Lake, settings: CollectSettings, files: Files, spool: Path) -> None:
    """Remove those segments of the spool whose lines are all published and that nobody appends to any more."""
    if _pending(lake):  # of a collector that was killed
        return
    source, limit = settings.sources[-1], settings.batch_bytes
    done = [file for file in files[HTTP] if not has_news(lake, [source], {HTTP: [file]}, limit)]
    if removed := remove_closed(spool, done):
        log.info("collect: removed %s files of the spool, which are published", removed)


def _pending(lake: Lake) -> list[str]:
    """Batches that were planned and not published, oldest first. They are published in order: the last ones count."""
    pending: list[str] = []
    for batch in lake.read("sources", step=STEP).select("batch").unique().collect()["batch"].sort(descending=True):
        key = fingerprint(STEP, [], [], batch)
        if published(lake, "interactions", step=STEP, batch=batch, key=key) is not None:
            break
        pending.insert(0, batch)
    return pending


def _files_of(files: Files, source: str, batch: str) -> Sequence[File]:
    if source not in files:
        raise SourceError(
            f"Batch {batch} was planned from source {source}, which is not in collect.sources any more: put it back "
            "until the batch is collected."
        )
    return files[source]
