"""Step 8, train: one stage of training on one mixture."""

import fcntl
import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import polars as pl
from prefect import task

from configs.settings import StageSettings, TrainSettings
from storage.erasures import state
from storage.lake import Lake
from storage.progress import SECONDS, Progress, tell
from storage.registry import Model, find, register
from storage.snapshot import Snapshot, digest
from storage.trained import RESULT, SAMPLES, without_samples
from tasks.train.job import Job, TrainingError, is_whole
from tasks.train.launch import Figures, measured_in, run

log = logging.getLogger(__name__)


@task(name="train", persist_result=False)
def train(
    lake: Lake, batch: str, mixture: Snapshot, stage: str, parent: Model, settings: TrainSettings, seed: int
) -> Model:
    """Train `parent` on a mixture, and register the model that comes out.

    The model's id is a hash of parent, mixture, settings and seed: a model that is there is not trained again, and a
    training that was killed goes on from its newest whole checkpoint. On how many devices it was trained, which only
    the machine with them knows, is no part of the id: it is among the model's metrics, as `processes`.

    Args:
        lake: where the mixture and the models are.
        batch: that the model is registered for.
        mixture: what to train on.
        stage: one of the settings.
        parent: the model to train.
        settings: of all stages, and on which devices they are trained.
        seed: of everything random.

    Raises:
        TrainingError: the training cannot be done, or failed; the message says why.
    """
    chosen: StageSettings = getattr(settings, stage)
    name = model_id(stage, parent, mixture.batch, chosen, seed)
    folder = lake.local("models", name)
    known = find(lake, name)
    if known is not None:
        with suppress(FileNotFoundError):  # `flywheel maintain` removes weights
            lake.fetch("models", name)
    if known is not None and is_whole(folder):
        log.info("%s is trained already", name)
        return known
    if not is_whole(folder):
        work = lake.folder("work", name)
        job = Job(
            name=name,
            stage=stage,
            model=parent.path,
            template_hash=_template_hash(lake, mixture),
            data=str(work / "rows.parquet"),
            work=str(work),
            settings=chosen,
            seed=seed,
            launch=settings.launch,
            report_to=settings.report_to,
            starter=os.getpid(),
        )
        with _alone(work, name):
            _train(lake, job, folder, mixture)
    model = Model(
        id=name,
        kind="reward" if stage == "reward" else "lm",
        stage=stage,
        path=str(folder),
        template_hash=parent.template_hash,
        parent=parent.id,
        mixture=mixture.batch,
        settings=chosen.model_dump(mode="json") | {"seed": seed},
        metrics={name: value for name, value in measured_in(folder).items() if name != SAMPLES},
    )
    register(lake, model, batch=batch)
    return model


def model_id(stage: str, parent: Model, mixture: str, settings: StageSettings, seed: int) -> str:
    """Name of the model that this training makes."""
    parts = json.dumps(settings.model_dump(mode="json"), sort_keys=True)
    return f"{stage}-{digest(parent.id, mixture, parts, str(seed))[:12]}"


def _template_hash(lake: Lake, mixture: Snapshot) -> str:
    """Of the chat template that the mixture was made for."""
    manifest = lake.read("manifests", batch=mixture.batch).select("manifest").collect()["manifest"][0]
    return str(json.loads(manifest)["template_hash"])


@contextmanager
def _alone(work: Path, name: str) -> Iterator[None]:
    """Nobody else on this machine trains the same model meanwhile: they would write the same checkpoints.

    Raises:
        TrainingError: somebody does.
    """
    handle = os.open(work, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise TrainingError(f"{name} is being trained by another run: wait for that one.") from error
    finally:
        os.close(handle)


def _progress(stage: str) -> Callable[[Figures], None]:
    """Tells how far a training is, as often as other long work does; the worker's own lines are on the log."""
    told_at = -SECONDS

    def told(step: Figures) -> None:
        nonlocal told_at
        if step["step"] < step["steps"] and time.monotonic() < told_at + SECONDS:
            return
        told_at = time.monotonic()
        unit = f"steps, loss {step['loss']:.4f}"
        tell(Progress(f"train: {stage}", step["step"], step["steps"], unit, step["seconds_left"]))

    return told


def _train(lake: Lake, job: Job, folder: Path, mixture: Snapshot) -> None:
    """Hand the rows to a worker; they are removed when it is done, whatever happens."""
    data = Path(job.data)
    erased = state(lake)
    try:
        lake.scan(mixture).sort("id").select(pl.exclude("batch", "step")).sink_parquet(data)
        measured = run(job, folder, _progress(job.stage))
    finally:
        data.unlink(missing_ok=True)
    if state(lake) != erased:  # somebody who is gone by now may be among the samples
        (folder / RESULT).write_bytes(without_samples((folder / RESULT).read_bytes()))
    first, last = measured["losses"][0][1], measured["losses"][-1][1]
    log.info("%s: loss %.4f -> %.4f, %d steps in %.0f s", job.name, first, last, measured["steps"], measured["seconds"])
