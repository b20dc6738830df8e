"""Curation: raw rows of a batch become scrubbed, unique, scored rows on one side of the split."""

from collections.abc import Sequence

from prefect import flow

from configs.mistake import Mistake
from configs.settings import Settings
from flows.batches import settings_hash
from flows.gpu import gpu_slots
from flows.progress import progress_artifacts
from flows.remote import run_elsewhere
from flows.runs import Run, base_model, check_models, collected, current, emptied
from storage.lake import Lake
from storage.maintain import is_emptied
from storage.registry import Model
from storage.snapshot import Snapshot
from tasks.collect.task import collect
from tasks.dedupe.task import dedupe, dedupe_scrubbed
from tasks.prefer.task import prefer
from tasks.score.task import score
from tasks.scrub.task import scrub
from tasks.split.task import split
from tasks.synthesize.task import synthesize as generate


@flow(name="curate", flow_run_name="curate into {settings.lake}")
def curate(settings: Settings) -> list[Snapshot]:
    """Collect what is new and curate every batch that no run has finished; train nothing.

    Args:
        settings: the flywheel's settings.

    Returns:
        The curated rows, a snapshot per batch.
    """
    lake = Lake(settings.lake)
    base_model(lake, settings)  # a missing model is said before anything is spent
    check_models(settings)
    with progress_artifacts():
        collect(lake, settings.collect)
        run = current(lake, settings)
        return curate_batches(lake, run, settings) if run else []


@flow(name="synthesize", flow_run_name="synthesize into {settings.lake}")
def synthesize(settings: Settings) -> list[Snapshot]:
    """Generate conversations from the newest batch with the champion, and curate them too; train nothing.

    Args:
        settings: the flywheel's settings.

    Returns:
        The curated synthetic rows, a snapshot per shard; none when synthesis is off or nothing was collected yet.
    """
    lake = Lake(settings.lake)
    run = current(lake, settings)
    with progress_artifacts():
        return synthesize_batch(lake, run, curate_batches(lake, run, settings), settings) if run else []


@flow(name="synthesize-shard", flow_run_name="synthesize shard {shard} into {settings.lake}")
def synthesize_shard(settings: Settings, shard: int = 0) -> Snapshot | None:
    """Generate one share of the newest batch's conversations; whoever started all of them curates them.

    Args:
        settings: the flywheel's settings; synthesize.shards says how many shares there are.
        shard: which one, from 0.

    Returns:
        The generated rows; None when nothing was collected yet.

    Raises:
        Mistake: there are not so many shares.
    """
    if shard not in range(settings.synthesize.shards):
        raise Mistake(
            f"There is no shard {shard}: synthesize.shards is {settings.synthesize.shards}, and 0 is the first."
        )
    lake = Lake(settings.lake)
    run = current(lake, settings)
    if run is None:
        return None
    with progress_artifacts():
        curated = curate_batches(lake, run, settings)
        with gpu_slots(settings.train.gpu_slots):  # what is not curated yet must not wait for a GPU, nor hold one
            return generate(lake, run.batch, run.champion, curated, settings.synthesize, settings.seed, shard)


def curate_batches(lake: Lake, run: Run, settings: Settings) -> list[Snapshot]:
    """Curate the run's batches, oldest first; those that are done already are skipped.

    What was curated from a batch whose raw text is gone by now stays as it is, also under other settings.
    """
    return [
        emptied(batch) if is_emptied(lake, batch) else curate_rows(lake, collected(batch), run.base, settings)
        for batch in run.batches
    ]


def synthesize_batch(lake: Lake, run: Run, curated: Sequence[Snapshot], settings: Settings) -> list[Snapshot]:
    """Generate conversations from curated ones and take them through the same curation; none when that is off."""
    asked = settings.synthesize
    if not asked.enabled or not asked.conversations:
        return []
    shards = range(asked.shards)
    if asked.shards > 1:
        given = settings.model_dump(mode="json")
        target = f"{lake.path('synthetic', run.batch)}/{settings_hash(settings)}"
        work = {f"{target}/{shard}": {"settings": given, "shard": shard} for shard in shards}
        run_elsewhere("synthesize-shard/synthesize-shard", work)
    # what was generated elsewhere is done: this finds it
    made = [generate(lake, run.batch, run.champion, curated, asked, settings.seed, shard) for shard in shards]
    return [curate_rows(lake, rows, run.base, settings) for rows in made]


def curate_rows(lake: Lake, rows: Snapshot, base: Model, settings: Settings) -> Snapshot:
    """Take one snapshot of raw rows, collected or synthetic, through every step of curation.

    Preferences are formed before same-prompt answers part, and every row is on its side before anything learns.
    """
    raw = dedupe(lake, rows, settings.dedupe, settings.engine)
    clean = scrub(lake, rows, raw, settings.scrub, settings.engine)
    again = dedupe_scrubbed(lake, clean, settings.dedupe, settings.engine)
    duplicates = [raw, again]
    sides = split(lake, clean, duplicates, settings.split, settings.seed)
    preferences = prefer(lake, clean, sides) if rows.table == "interactions" else None
    return score(lake, clean, duplicates, sides, preferences, settings.score, base.path, settings.seed, settings.engine)
