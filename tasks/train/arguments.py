"""What every stage's trainer is told."""

import math
from typing import Any

import torch

from configs.settings import StageSettings
from tasks.train.devices import world
from tasks.train.job import Job
from tasks.train.rules import may_checkpoint_gradients
from tasks.train.trackers import PROJECT

SAVES = 10
"""Checkpoints of a training."""
LOGGED_STEPS = 500
"""Lines of steps at most."""
LARGE = 1_000_000_000
"""Parameters above which activations are computed twice to save memory."""


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
        "gradient_checkpointing": parameters > LARGE and may_checkpoint_gradients(settings),
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


def planned_steps(settings: StageSettings, examples: int) -> int:
    """Optimiser steps over the examples, which are there for all passes."""
    batch = settings.rows_per_batch * settings.gradient_accumulation_steps * world()
    return settings.max_steps if settings.max_steps > 0 else math.ceil(examples / batch)


def warmup(settings: StageSettings, examples: int) -> int:
    """Steps until the learning rate is at its peak; a share of all steps is rounded down.

    The first step of a warm-up learns nothing: rounded up, as the trainer does it, a short training would lose one of
    its few steps.
    """
    if settings.warmup_steps >= 1:
        return int(settings.warmup_steps)
    return int(planned_steps(settings, examples) * settings.warmup_steps)
