"""Every stage with every method on a tiny model: what such a training is made of."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from configs.training import StageSettings, settings_class
from tasks.lm.load import load_tokenizer
from tasks.train.job import Job
from tests.tasks.train.jobs import Rows, make_job, sums
from tests.tiny_model import make_tiny_model

IDS = torch.arange(4, 28).reshape(2, -1)
"""Tokens that models before and after are compared on."""


@dataclass(frozen=True)
class Models:
    """Folders of tiny models: the one that is trained (its attention has biases, for bitfit), and those it learns from.

    Args:
        parent: that is trained.
        teacher: of the same tokenizer.
        judge: a reward model.
    """

    parent: Path
    teacher: Path
    judge: Path


def make_models(folder: Path) -> Models:
    """Make them in `folder`."""
    parent = make_tiny_model(folder / "parent", hidden=32)
    config = json.loads((parent / "config.json").read_text()) | {"attention_bias": True}
    (parent / "config.json").write_text(json.dumps(config))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        AutoModelForCausalLM.from_pretrained(parent).save_pretrained(parent)
        judge = AutoModelForSequenceClassification.from_pretrained(parent, num_labels=1)
    judge.save_pretrained(folder / "judge")
    load_tokenizer(parent).save_pretrained(folder / "judge")
    return Models(parent, make_tiny_model(folder / "teacher", hidden=32, seed=1), folder / "judge")


def cell(folder: Path, models: Models, stage: str, method: str, **changes: Any) -> Job:
    """Two steps of a stage by a method."""
    return make_job(folder, models.parent, stage, rows_for(stage, 8), settings_for(models, stage, method, **changes))


def settings_for(models: Models, stage: str, method: str, **changes: Any) -> StageSettings:
    """Of a training that takes a second."""
    online: dict[str, Any] = {"reward": str(models.judge), "max_completion_length": 8, "num_generations": 2}
    own: dict[str, dict[str, Any]] = {
        "distill": {"teacher_model_name_or_path": str(models.teacher)},
        "grpo": online,
        "rloo": online,
    }
    shared = {
        "finetuning_type": method,
        "max_steps": 2,
        "warmup_steps": 0,
        "max_length": 64,
        "lora_r": 2,
        "num_virtual_tokens": 4,
        "bottleneck_size": 4,
        "freeze_trainable_layers": 1,
        "learning_rate": 1e-2,
        "per_device_train_batch_size": 4,
    }
    return settings_class(stage).model_validate(shared | own.get(stage, {}) | changes)


def rows_for(stage: str, count: int) -> Rows:
    """Rows as the stage reads them."""
    rows = sums(count)
    if stage == "kto":
        return [row | {"rejected" if number % 3 else "chosen": None} for number, row in enumerate(rows)]
    return rows
