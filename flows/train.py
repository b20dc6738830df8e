"""Training: continued pre-training, supervised fine-tuning and preference optimisation, each a flow of its own."""

import logging
from collections.abc import Iterator
from typing import Literal

from prefect import flow

from configs.settings import Settings
from flows.runs import Run, current
from storage import registry
from storage.lake import Lake
from storage.registry import Model
from tasks.mix.task import mix
from tasks.synthesize.task import synthesize_pairs
from tasks.train.task import train as train_model

log = logging.getLogger(__name__)
Stage = Literal["cpt", "sft", "dpo", "kto"]
STAGES: tuple[Stage, ...] = ("cpt", "sft", "dpo", "kto")


@flow(name="train", flow_run_name="train {stage} in {settings.lake}")
def train(settings: Settings, stage: Stage = "sft", parent: str | None = None) -> str | None:
    """Mix the stage's data from everything curated so far and train one model on it; evaluate and promote nothing.

    Args:
        settings: the flywheel's settings.
        stage: cpt, sft, dpo or kto.
        parent: id of the model to start from; the champion when it is not given.

    Returns:
        The id of the new model; None when the stage is skipped, with the reason on the log.
    """
    lake = Lake(settings.lake)
    run = current(lake, settings)
    if run is None:
        log.info("train: nothing was collected into %s yet", settings.lake)
        return None
    start = registry.get(lake, parent) if parent else run.champion
    stage_settings = getattr(settings.train, stage)
    if stage == "dpo" and settings.synthesize.enabled and settings.synthesize.pairs:
        synthesize_pairs(lake, run.batch, start, settings.synthesize, settings.seed)
    mixture = mix(lake, stage, run.batch, settings.mix, stage_settings, start.path, settings.seed)
    if mixture.snapshot is None:
        log.info("train: %s skipped: %s", stage, mixture.reason)
        return None
    if mixture.snapshot.batch in {model.mixture for model in ancestors(lake, start)}:
        log.info("train: %s skipped: %s was trained on this very mixture already", stage, start.id)
        return None
    model = train_model(lake, run.batch, mixture.snapshot, stage, start, stage_settings, settings.seed)
    return model.id


def train_stages(lake: Lake, run: Run, settings: Settings) -> Model | None:
    """Run every enabled stage as a subflow, each from the model before it.

    Returns:
        The last model of the chain; None when every stage was skipped.
    """
    model = run.champion
    for stage in STAGES:
        if getattr(settings.train, stage).enabled:
            trained = train(settings, stage, model.id)
            model = registry.get(lake, trained) if trained else model
    return None if model.id == run.champion.id else model


def ancestors(lake: Lake, model: Model) -> Iterator[Model]:
    """The model and all that it descends from, newest first."""
    step: Model | None = model
    while step is not None:
        yield step
        step = registry.find(lake, step.parent) if step.parent else None
