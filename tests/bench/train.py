"""Training: against TRL used directly, every stage with every method, forgetting, and loss on held-out questions."""

import tempfile
from pathlib import Path
from typing import Any

from configs.settings import StageSettings
from tasks.lm.likelihood import likelihoods
from tasks.lm.load import load, resolve
from tasks.lm.template import encode
from tasks.train.launch import run as run_worker
from tests.bench._table import show
from tests.bench._train_cells import every_cell
from tests.bench._train_data import questions
from tests.bench._train_forgetting import forgetting
from tests.bench._train_speed import against_trl, packed
from tests.tasks.train.jobs import Rows, make_job
from tests.tiny_model import make_tiny_model

HELD_OUT = 64
BATCH = 2
"""Rows of a step: on two cores, 60 steps of SmolLM2 take five minutes."""


def run(*, quick: bool) -> dict[str, Any]:
    """Measure training.

    Returns:
        vs_trl_tokens: tokens/s of the worker over those of TRL; vs_trl_memory: its peak memory over TRL's;
        packing_speedup: time without packing over time with it; cells_trained and cells_refused of stages by methods;
        forgetting_by_method: nats per token that texts learned first lose by learning others; learned_by_method: that
        these gain; gsm8k_loss_before and _after, in nats per answer token on held-out questions.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = make_tiny_model(folder / "small", hidden=256, layers=4) if quick else resolve("smollm2")
        figures = against_trl(folder, model, steps=30 if quick else 16)
        figures |= packed(folder, model, rows=36)
        figures |= every_cell(folder / "cells")
        figures |= forgetting(folder / "forgetting", seeds=1 if quick else 3)
        return figures | gsm8k(folder, model, steps=30 if quick else 60, rate=2e-3 if quick else None)


def gsm8k(folder: Path, model: Path, *, steps: int, rate: float | None) -> dict[str, float]:
    """Fine-tune on grade-school arithmetic and look at questions that were held out."""
    rows = questions()
    settings = StageSettings(
        max_steps=steps, per_device_train_batch_size=BATCH, max_length=512, learning_rate=rate, lora_r=8
    )
    job = make_job(folder / "gsm8k", model, "sft", rows[HELD_OUT : HELD_OUT + BATCH * steps], settings)
    run_worker(job, folder / "models" / "gsm8k")
    paths = {"before": model, "after": folder / "models" / "gsm8k"}
    losses = {f"gsm8k_loss_{when}": round(answer_loss(path, rows[:HELD_OUT]), 4) for when, path in paths.items()}
    show(
        f"gsm8k, {steps} steps, {HELD_OUT} held-out questions",
        ("", "nats per answer token"),
        [(name.rpartition("_")[2], loss) for name, loss in losses.items()],
    )
    return losses


def answer_loss(model: Path, rows: Rows) -> float:
    """Nats per token of answers."""
    lm = load(model)
    found = likelihoods(lm, [encode(lm.tokenizer, row["prompt"] + row["completion"], 512) for row in rows])
    return float(found.answer_loss.sum() / found.answer_tokens.sum())
