"""A training from job to saved model, as the worker does it."""

import json
import logging
import math
import resource
import shutil
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import polars as pl
import torch
from transformers import PrinterCallback, Trainer, set_seed

from configs.settings import StageSettings
from tasks.lm.load import load_tokenizer
from tasks.lm.template import template_hash
from tasks.train.checkpoint import newest_whole
from tasks.train.data import TrainingData, training_data
from tasks.train.devices import is_first, world
from tasks.train.job import CURVES, METRICS, RESULT, SAMPLES, Job, TrainingError
from tasks.train.methods import method_for
from tasks.train.report import StepReport
from tasks.train.stages import STAGES
from tasks.train.stages.contract import Setup, Stage
from tasks.train.stages.packing import check_apart
from tasks.train.trackers import PROJECT
from tasks.train.weights import distinct_padding, load_trainable, save

log = logging.getLogger(__name__)
SAVES = 10
"""Checkpoints of a training."""
LOGGED_STEPS = 500
"""Lines of steps at most."""
LARGE = 1_000_000_000
"""Parameters above which activations are computed twice to save memory."""


def train(job: Job) -> None:
    """Train, save the model into `job.output`, and write what was measured there, last."""
    stage, settings = STAGES[job.stage], job.settings
    check_settings(stage, settings)
    method = method_for(job.stage, settings)
    tokenizer = load_tokenizer(job.model)
    if template_hash(tokenizer) != job.template_hash:
        raise TrainingError(
            f"The mixture was made for another chat template ({job.template_hash}) than that of {job.model} "
            f"({template_hash(tokenizer)}): mix again with this model."
        )
    distinct_padding(tokenizer)
    data = training_data(stage, pl.read_parquet(job.data).to_dicts(), tokenizer, settings, job.seed)
    _show(data)

    set_seed(job.seed)
    model = load_trainable(job.model)
    total = model.num_parameters()
    if method.choose is not None:
        method.choose(model, settings)
    if settings.packing:
        check_apart(model)
    rate = settings.learning_rate or method.learning_rate * stage.pace
    setup = Setup(
        model=model,
        tokenizer=tokenizer,
        examples=data.examples,
        arguments=arguments(job, data.examples.num_rows, total) | {"learning_rate": rate},
        settings=settings,
        peft_config=method.adapter(settings) if method.adapter else None,
        callbacks=[StepReport(Path(job.work) / METRICS)],
    )
    trainer = stage.trainer(setup)
    trainer.remove_callback(PrinterCallback)  # prints what StepReport says better
    trainable = sum(weights.numel() for weights in model.parameters() if weights.requires_grad)
    log.info("%s: %s of %s parameters, rate %g", settings.finetuning_type, f"{trainable:,}", f"{total:,}", rate)
    checkpoint = newest_whole(Path(job.work), world())
    if checkpoint is not None:
        log.info("going on from %s", checkpoint.name)
    began = time.monotonic()
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    measured = _measured(trainer, data, seconds=time.monotonic() - began)
    measured |= {"trainable_parameters": trainable, "learning_rate": rate, "processes": world()}
    state = gathered(trainer)
    if is_first():
        save(trainer.model, tokenizer, job.model, job.output, state=state)
        _keep_curves(job)
        (job.output / RESULT).write_text(json.dumps(measured, indent=1))


def check_settings(stage: Stage, settings: StageSettings) -> None:
    """Refuse what this stage cannot do, and names in trainer_args that the trainer does not know.

    Raises:
        TrainingError: names them.
    """
    if settings.packing and not stage.packs:
        able = ", ".join(name for name, other in STAGES.items() if other.packs)
        raise TrainingError(f"{stage.name} reads rows in pairs or groups: packing is for {able}.")
    known = {field.name for field in fields(stage.config) if field.init}
    if unknown := [argument.name for argument in settings.trainer_args if argument.name not in known]:
        raise TrainingError(f"trainer_args: {stage.config.__name__} has no {', '.join(unknown)}.")


def gathered(trainer: Trainer) -> dict[str, Any] | None:
    """All weights, where each process has a part of them; None where the model is whole.

    Every process takes part; the first one gets them.
    """
    if not (trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled):
        return None
    state: dict[str, Any] = trainer.accelerator.get_state_dict(trainer.model_wrapped)
    return state


def _keep_curves(job: Job) -> None:
    """The figures of all steps stay with the model."""
    shutil.copy(Path(job.work) / METRICS, job.output)
    if (curves := Path(job.work) / CURVES).exists():
        shutil.copytree(curves, job.output / CURVES)


def arguments(job: Job, examples: int, parameters: int) -> dict[str, Any]:
    """The trainer's arguments that all stages share."""
    settings = job.settings
    cuda = torch.cuda.is_available()
    return {
        "output_dir": job.work,
        "num_train_epochs": 1,  # the examples are there for all passes already, in order
        "train_sampling_strategy": "sequential",
        "max_steps": settings.max_steps,
        "per_device_train_batch_size": settings.per_device_train_batch_size,
        "gradient_accumulation_steps": settings.gradient_accumulation_steps,
        "warmup_steps": warmup(settings, examples),
        "lr_scheduler_type": settings.lr_scheduler_type,
        "seed": job.seed,
        "use_cpu": not cuda,
        "bf16": cuda,
        "gradient_checkpointing": parameters > LARGE,
        "dataloader_pin_memory": cuda,
        "logging_steps": 1 / LOGGED_STEPS,
        "logging_nan_inf_filter": False,  # it would hide a loss that is no number
        "include_num_input_tokens_seen": "non_padding",
        "save_steps": 1 / SAVES,
        "save_total_limit": 2,
        "report_to": list(job.report_to) or "none",
        "run_name": job.name,
        "project": PROJECT,
        "disable_tqdm": True,
        **{argument.name: argument.value for argument in settings.trainer_args},
    }


def warmup(settings: StageSettings, examples: int) -> int:
    """Steps until the learning rate is at its peak; a share of all steps is rounded down.

    The first step of a warm-up learns nothing: rounded up, as the trainer does it, a short training would lose one of
    its few steps.
    """
    if settings.warmup_steps >= 1:
        return int(settings.warmup_steps)
    batch = settings.per_device_train_batch_size * settings.gradient_accumulation_steps * world()
    steps = settings.max_steps if settings.max_steps > 0 else math.ceil(examples / batch)
    return int(steps * settings.warmup_steps)


def _show(data: TrainingData) -> None:
    log.info("%s rows, %s trained tokens, %g times", f"{data.rows:,}", f"{data.trained_tokens:,}", data.passes)
    for reason, count in sorted(data.left_out.items()):
        log.warning("%s rows are left out: %s", f"{count:,}", reason.replace("_", " "))
    log.info("%s samples, trained on what is in « », are in %s of the model's folder", len(data.samples), RESULT)


def _measured(trainer: Trainer, data: TrainingData, seconds: float) -> dict[str, Any]:
    """What goes into the registry. Peak memory is the process's on a CPU, the device's on a GPU."""
    state = trainer.state
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts in KiB
    if torch.cuda.is_available():
        peak = torch.cuda.max_memory_allocated()
    return {
        "losses": [[line["step"], line["loss"]] for line in state.log_history if "loss" in line],
        "steps": state.global_step,
        "planned_steps": state.max_steps,
        "rows": data.rows,
        "packs": data.packs,
        "left_out": dict(data.left_out),
        "too_long": data.left_out.get("too_long", 0),
        "tokens": int(state.num_input_tokens_seen),
        "trained_tokens": data.trained_tokens,
        "seconds": round(seconds, 2),
        "peak_gb": round(peak / 1e9, 3),
        SAMPLES: list(data.samples),
    }
