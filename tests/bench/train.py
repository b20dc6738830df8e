"""Training: against TRL used directly, every stage with every method, forgetting, and loss on held-out questions."""

import tempfile
from pathlib import Path
from statistics import mean
from typing import Any

from configs.settings import StageSettings
from tasks.lm.likelihood import likelihoods
from tasks.lm.load import load, resolve
from tasks.lm.template import encode
from tasks.train import training
from tasks.train.job import TrainingError
from tasks.train.launch import run as run_worker
from tasks.train.methods import METHODS
from tasks.train.stages import STAGES
from tests.bench._table import show
from tests.bench._train_data import documents, questions
from tests.bench._train_speed import against_trl, packed
from tests.tasks.train.jobs import Rows, make_job
from tests.tiny_model import make_tiny_model

HELD_OUT = 64


def run(*, quick: bool) -> dict[str, Any]:
    """Measure training.

    Returns:
        vs_trl_tokens: tokens/s of the worker over those of TRL; vs_trl_memory: its peak memory over TRL's;
        packing_speedup: time without packing over time with it; cells_trained and cells_refused of stages by methods;
        forgetting_by_method: nats per token that texts learned first lose by learning others; gsm8k_loss_before and
        _after, in nats per answer token on held-out questions.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tiny = make_tiny_model(folder / "tiny", hidden=64)
        model = make_tiny_model(folder / "small", hidden=256, layers=4) if quick else resolve("smollm2")
        figures = against_trl(folder, model, steps=30 if quick else 20)
        figures |= packed(folder, model, rows=96)
        figures |= every_cell(folder, tiny)
        figures |= {"forgetting_by_method": forgetting(folder, tiny, seeds=1 if quick else 3)}
        return figures | gsm8k(folder, model, steps=30 if quick else 60, rate=2e-3 if quick else None)


def every_cell(folder: Path, model: Path) -> dict[str, int]:
    """Each stage with each method: trained, or refused with a reason."""
    pairs = questions()[:8]
    thumbs = [row | {"rejected" if number % 2 else "chosen": None} for number, row in enumerate(pairs)]
    table, counts = [], {"cells_trained": 0, "cells_refused": 0}
    for method in METHODS:
        line = [method]
        for stage in STAGES:
            settings = StageSettings(finetuning_type=method, max_steps=2, max_length=1024)  # type: ignore[arg-type]
            rows = thumbs if stage == "kto" else pairs
            try:
                training.train(make_job(folder / f"{stage}-{method}", model, stage, rows, settings))
            except TrainingError:
                line.append("refused")
                counts["cells_refused"] += 1
            else:
                line.append("trained")
                counts["cells_trained"] += 1
        table.append(line)
    show("Stages by methods on a tiny model", ("finetuning_type", *STAGES), table)
    return counts


def forgetting(folder: Path, model: Path, *, seeds: int) -> dict[str, float]:
    """Learn encyclopedia articles, then arithmetic: how much of the articles is lost, in nats per token."""
    articles = [{"text": text} for text in documents()]
    sums = [{"text": f"{row['prompt'][0]['content']}\n{row['completion'][0]['content']}"} for row in questions()[:400]]
    first, kept, replay = articles[:300], articles[300:360], articles[:40]
    ways = {
        "plain": (sums, {"finetuning_type": "full", "learning_rate": 3e-3}),
        "replay 10%": (sums + replay, {"finetuning_type": "full", "learning_rate": 3e-3}),
        "lora": (sums, {"finetuning_type": "lora", "learning_rate": 5e-3}),
    }
    lost: dict[str, list[float]] = {way: [] for way in ways}
    learned: dict[str, list[float]] = {way: [] for way in ways}
    for seed in range(seeds):
        steps = {"max_steps": 150, "per_device_train_batch_size": 8, "max_length": 128}
        job = make_job(
            folder / f"first{seed}",
            model,
            "cpt",
            first,
            StageSettings(finetuning_type="full", learning_rate=3e-3, **steps),  # type: ignore[arg-type]
            seed,
        )
        training.train(job)
        before = text_loss(job.output, kept)
        for way, (rows, changes) in ways.items():
            settings = StageSettings(**(steps | changes))  # type: ignore[arg-type]
            second = make_job(folder / f"{way}{seed}", job.output, "cpt", rows, settings, seed)
            training.train(second)
            lost[way].append(text_loss(second.output, kept) - before)
            learned[way].append(text_loss(second.output, sums[-40:]))
    table = [(way, f"{mean(lost[way]):.3f}", f"{mean(learned[way]):.3f}") for way in ways]
    show(f"Articles, then arithmetic, {seeds} seeds", ("", "articles forgotten", "loss on arithmetic"), table)
    return {way: round(mean(values), 4) for way, values in lost.items()}


def gsm8k(folder: Path, model: Path, *, steps: int, rate: float | None) -> dict[str, float]:
    """Fine-tune on grade-school arithmetic and look at questions that were held out."""
    rows = questions()
    settings = StageSettings(max_steps=steps, max_length=512, learning_rate=rate, lora_r=8)
    job = make_job(folder / "gsm8k", model, "sft", rows[HELD_OUT : HELD_OUT + 4 * steps], settings)
    run_worker(job, folder / "models" / "gsm8k")
    paths = {"before": model, "after": folder / "models" / "gsm8k"}
    losses = {f"gsm8k_loss_{when}": round(answer_loss(path, rows[:HELD_OUT]), 4) for when, path in paths.items()}
    show(
        f"gsm8k, {steps} steps, {HELD_OUT} held-out questions",
        ("", "nats per answer token"),
        [(name.rpartition("_")[2], loss) for name, loss in losses.items()],
    )
    return losses


def text_loss(model: Path, rows: Rows) -> float:
    """Nats per token of texts."""
    lm = load(model)
    found = likelihoods(lm, [encode(lm.tokenizer, [document(row["text"])], 256) for row in rows])
    return float(found.text_loss.sum() / found.text_tokens.sum())


def answer_loss(model: Path, rows: Rows) -> float:
    """Nats per token of answers."""
    lm = load(model)
    found = likelihoods(lm, [encode(lm.tokenizer, row["prompt"] + row["completion"], 512) for row in rows])
    return float(found.answer_loss.sum() / found.answer_tokens.sum())


def document(text: str) -> dict[str, str]:
    return {"role": "document", "content": text}
