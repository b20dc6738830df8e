"""Step 8, train: one stage of training on one mixture."""

import json
import logging
import os
from pathlib import Path

import polars as pl
from prefect import task

from configs.settings import StageSettings
from storage.erasures import state
from storage.lake import Lake
from storage.registry import Model, find, register
from storage.snapshot import Snapshot, digest
from tasks.train.job import RESULT, SAMPLES, Job, is_whole, without_samples
from tasks.train.launch import measured_in, run

log = logging.getLogger(__name__)


@task(name="train", persist_result=False)
def train(
    lake: Lake, batch: str, mixture: Snapshot, stage: str, parent: Model, settings: StageSettings, seed: int
) -> Model:
    """Train `parent` on a mixture, and register the model that comes out.

    The model's id is a hash of parent, mixture, settings and seed: a model that is there is not trained again, and a
    training that was killed goes on from its newest whole checkpoint.

    Args:
        lake: where the mixture and the models are.
        batch: that the model is registered for.
        mixture: what to train on.
        stage: cpt, sft, dpo or kto.
        parent: the model to train.
        settings: of the stage.
        seed: of everything random.

    Raises:
        TrainingError: the training cannot be done, or failed; the message says why.
    """
    name = model_id(stage, parent, mixture, settings, seed)
    folder = lake.folder("models") / name
    known = find(lake, name)
    if known is not None and is_whole(folder):
        log.info("%s is trained already", name)
        return known
    if not is_whole(folder):
        _train(lake, name, folder, mixture, stage, parent, settings, seed)
    model = Model(
        id=name,
        kind="lm",
        stage=stage,
        path=str(folder),
        template_hash=parent.template_hash,
        parent=parent.id,
        mixture=mixture.batch,
        settings=settings.model_dump(mode="json") | {"seed": seed},
        metrics={name: value for name, value in measured_in(folder).items() if name != SAMPLES},
    )
    register(lake, model, batch=batch)
    return model


def model_id(stage: str, parent: Model, mixture: Snapshot, settings: StageSettings, seed: int) -> str:
    """Name of the model that this training makes."""
    parts = json.dumps(settings.model_dump(mode="json"), sort_keys=True)
    return f"{stage}-{digest(parent.id, mixture.batch, parts, str(seed))[:12]}"


def _train(
    lake: Lake,
    name: str,
    folder: Path,
    mixture: Snapshot,
    stage: str,
    parent: Model,
    settings: StageSettings,
    seed: int,
) -> None:
    """Hand the rows to a worker; they are removed when it is done, whatever happens."""
    work = lake.folder("work", name)
    data = work / "rows.parquet"
    manifest = json.loads(lake.read("manifests", batch=mixture.batch).select("manifest").collect()["manifest"][0])
    job = Job(
        name=name,
        stage=stage,
        model=parent.path,
        template_hash=manifest["template_hash"],
        data=str(data),
        work=str(work),
        settings=settings,
        seed=seed,
        starter=os.getpid(),
    )
    erased = state(lake)
    try:
        lake.scan(mixture).sort("id").select(pl.exclude("batch", "step")).sink_parquet(data)
        measured = run(job, folder)
    finally:
        data.unlink(missing_ok=True)
    if state(lake) != erased:  # somebody who is gone by now may be among the samples
        (folder / RESULT).write_bytes(without_samples((folder / RESULT).read_bytes()))
    first, last = measured["losses"][0][1], measured["losses"][-1][1]
    log.info("%s: loss %.4f -> %.4f, %d steps in %.0f s", name, first, last, measured["steps"], measured["seconds"])
