"""Training: a flow for each stage, alone or one after the other, here or where the GPUs are."""

import logging

from prefect import Flow, flow

from configs.settings import Settings
from configs.training import STAGES
from flows.gpu import gpu_slots
from flows.progress import progress_artifacts
from flows.remote import run_elsewhere
from flows.runs import Run, current, mixed
from storage import registry
from storage.lake import Lake
from storage.registry import Model
from storage.snapshot import Snapshot
from tasks.mix.task import mix
from tasks.synthesize.task import synthesize_pairs
from tasks.train.rules import check
from tasks.train.task import model_id
from tasks.train.task import train as train_model

log = logging.getLogger(__name__)
StageFlow = Flow[..., str | None]


def stage_flow(stage: str) -> StageFlow:
    """The flow that trains one stage."""

    @flow(name=f"train-{stage}", flow_run_name=f"train-{stage} in {{settings.lake}}")
    def train(settings: Settings, parent: str | None = None, mixture: str | None = None) -> str | None:
        """Train one model on everything curated so far; evaluate and promote nothing.

        Args:
            settings: the flywheel's settings.
            parent: id of the model to start from; where train.start says when it is not given.
            mixture: id of the mixture to train on; mixed anew when it is not given.

        Returns:
            The id of the new model; None when the stage is skipped, with the reason on the log.
        """
        with progress_artifacts():
            return _alone(stage, settings, parent, mixture)

    return train


def _alone(stage: str, settings: Settings, parent: str | None, mixture: str | None) -> str | None:
    check(stage, getattr(settings.train, stage))
    lake = Lake(settings.lake)
    run = current(lake, settings)
    if run is None:
        log.info("%s is skipped: nothing was collected into %s yet", stage, settings.lake)
        return None
    start = registry.get(lake, parent) if parent else first_parent(run, settings)
    rows = mixed(lake, stage, mixture) if mixture else prepare(lake, run, stage, start, settings)
    if rows is None:
        return None
    with gpu_slots(settings.train.gpu_slots):
        return train_model(lake, run.batch, rows, stage, start, settings.train, settings.seed).id


FLOWS = {stage: stage_flow(stage) for stage in STAGES}
train_cpt, train_sft, train_distill = FLOWS["cpt"], FLOWS["sft"], FLOWS["distill"]
train_dpo, train_kto, train_orpo, train_reward = FLOWS["dpo"], FLOWS["kto"], FLOWS["orpo"], FLOWS["reward"]
train_grpo, train_rloo = FLOWS["grpo"], FLOWS["rloo"]


def train_stages(lake: Lake, run: Run, settings: Settings) -> Model | None:
    """Run every enabled stage, each from the model before it: as a subflow, or by its deployment.

    Returns:
        The last model of the chain; None when every stage was skipped.
    """
    start = model = first_parent(run, settings)
    for stage in STAGES:
        if not getattr(settings.train, stage).enabled:
            continue
        rows = prepare(lake, run, stage, model, settings)
        if rows is None:
            continue
        name = model_id(stage, model, rows.batch, getattr(settings.train, stage), settings.seed)
        if settings.train.deployments:
            given = {"settings": settings.model_dump(mode="json"), "parent": model.id, "mixture": rows.batch}
            run_elsewhere(f"train-{stage}/train-{stage}", {lake.path("models", name): given})
        else:
            FLOWS[stage](settings, model.id, rows.batch)
        made = registry.get(lake, name)
        model = made if made.kind == "lm" else model  # nobody goes on from a reward model
    return None if model.id in {start.id, run.champion.id} else model


def first_parent(run: Run, settings: Settings) -> Model:
    """The model that the first stage trains."""
    return run.base if settings.train.start == "base" else run.champion


def prepare(lake: Lake, run: Run, stage: str, start: Model, settings: Settings) -> Snapshot | None:
    """Mix what the stage is trained on; None, with the reason on the log, when there is nothing to learn from it."""
    if stage == "dpo" and settings.synthesize.enabled and settings.synthesize.pairs:
        synthesize_pairs(lake, run.batch, start, run.champion, settings.synthesize, settings.seed)
    chosen = getattr(settings.train, stage)
    mixture = mix(lake, stage, run.batch, settings.mix, settings.collect, chosen, start.path, settings.seed)
    if mixture.snapshot is None:
        return None
    if mixture.snapshot.batch in {model.mixture for model in registry.ancestors(lake, start)}:
        log.info("%s is skipped: %s was trained on this very mixture already", stage, start.id)
        return None
    return mixture.snapshot
