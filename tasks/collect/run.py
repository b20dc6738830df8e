"""All that is new, batch by batch: finishes what a killed run planned, then plans on until nothing is left."""

import logging
from collections.abc import Mapping, Sequence
from functools import partial

from configs.settings import CollectSettings
from storage.lake import Lake
from storage.publish import published, run_step
from storage.snapshot import Snapshot, fingerprint
from tasks.collect.batch import collect_batch
from tasks.collect.files import CollectError, File, by_source
from tasks.collect.plan import STEP, has_news, locate, pieces_of, plan, withdraw

log = logging.getLogger(__name__)


def collect_new(lake: Lake, settings: CollectSettings) -> Snapshot | None:
    """What the door `collect` does, without Prefect; see there."""
    files = by_source(settings.sources)
    newest = None
    while True:
        pending = _pending(lake)
        batch = pending[0] if pending else plan(lake, settings.sources, files, settings.batch_bytes)
        if batch is None:
            break
        pieces = [(piece, locate(piece, _files_of(files, piece.source, batch))) for piece in pieces_of(lake, batch)]
        if gone := [piece for piece, file in pieces if file is None]:
            withdraw(lake, batch, gone)
        there = [(piece, file) for piece, file in pieces if file is not None]
        if there:
            newest = run_step(
                lake,
                step=STEP,
                batch=batch,
                table="interactions",
                settings=[],  # a batch is what its plan says: other settings count for the next one
                inputs=[],
                extra=[batch],
                work=partial(collect_batch, lake, batch, there, settings),
            )
    if newest is None:
        log.info("collect: nothing to do, %s sources have nothing new", len(settings.sources))
    return newest


def anything_new(lake: Lake, settings: CollectSettings) -> bool:
    """Whether `collect_new` would take anything in; nothing is written."""
    files = by_source(settings.sources)
    return bool(_pending(lake)) or has_news(lake, settings.sources, files, settings.batch_bytes)


def _pending(lake: Lake) -> list[str]:
    """Batches that were planned and not published, oldest first. They are published in order: the last ones count."""
    pending: list[str] = []
    for batch in lake.read("sources", step=STEP).select("batch").unique().collect()["batch"].sort(descending=True):
        key = fingerprint(STEP, [], [], batch)
        if published(lake, "interactions", step=STEP, batch=batch, key=key) is not None:
            break
        pending.insert(0, batch)
    return pending


def _files_of(files: Mapping[str, Sequence[File]], source: str, batch: str) -> Sequence[File]:
    if source not in files:
        raise CollectError(
            f"Batch {batch} was planned from source {source}, which is not in collect.sources any more: put it back "
            "until the batch is collected."
        )
    return files[source]
