"""How much of what was learned first is lost by learning something else, and what holds it."""

from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from configs.settings import StageSettings
from tasks.lm.likelihood import likelihoods
from tasks.lm.load import load
from tasks.lm.template import encode
from tasks.train import training
from tests.bench._table import show
from tests.bench._train_data import documents
from tests.tasks.train.jobs import Rows, make_job
from tests.tiny_model import make_tiny_model

STEPS = {"max_steps": 100, "per_device_train_batch_size": 8, "max_length": 64}
FULL = {"finetuning_type": "full", "learning_rate": 3e-3}
TESTED = 60


def forgetting(folder: Path, *, seeds: int) -> dict[str, Any]:
    """Let a tiny model learn articles of an encyclopedia, then arithmetic in several ways.

    Returns:
        forgetting_by_method: nats a token by which the loss on held-out articles grew, mean over seeds;
        learned_by_method: by which the loss on held-out arithmetic fell.
    """
    model = make_tiny_model(folder / "model", hidden=64)
    first, then = documents()[:360], sums(400 + TESTED)
    kept, tested = first[-TESTED:], then[-TESTED:]
    general = [{"text": text, "replay": True} for text in first[: len(then) // 10]]
    others = [{"text": text, "replay": False} for text in then[:-TESTED]]
    ways: dict[str, tuple[Rows, dict[str, Any]]] = {
        "plain": (others, FULL),
        "replay 10%": (others + general, FULL),
        "ewc": (others + general, FULL | {"ewc_lambda": 30.0, "ewc_replay": False}),
        "ewc + replay 10%": (others + general, FULL | {"ewc_lambda": 30.0}),
        "lora": (others, {"finetuning_type": "lora", "learning_rate": 5e-3}),
    }
    lost: dict[str, list[float]] = {way: [] for way in ways}
    learned: dict[str, list[float]] = {way: [] for way in ways}
    for seed in range(seeds):
        rows = [{"text": text, "replay": False} for text in first[:-TESTED]]
        start = trained(folder / f"first{seed}", model, rows, FULL, seed)
        before = text_loss(start, kept), text_loss(start, tested)
        for way, (rows, changes) in ways.items():
            after = trained(folder / f"{way}{seed}", start, rows, changes, seed)
            lost[way].append(text_loss(after, kept) - before[0])
            learned[way].append(before[1] - text_loss(after, tested))
    table = [
        (way, f"{mean(lost[way]):.3f}", f"{mean(learned[way]):.3f}", " ".join(f"{one:.2f}" for one in lost[way]))
        for way in ways
    ]
    show(f"Articles, then arithmetic: nats a token, {seeds} seeds", ("", "forgotten", "learned", "each"), table)
    return {
        "forgetting_by_method": {way: round(mean(values), 4) for way, values in lost.items()},
        "learned_by_method": {way: round(mean(values), 4) for way, values in learned.items()},
    }


def sums(count: int) -> list[str]:
    """Pages of additions: as unlike an article as a text can be."""
    pairs = [(number * 7919 % 997, number * 104_729 % 991) for number in range(count * 12)]
    lines = [f"{one} + {other} = {one + other}" for one, other in pairs]
    return ["\n".join(lines[start : start + 12]) for start in range(0, len(lines), 12)]


def trained(folder: Path, model: Path, rows: Rows, changes: dict[str, Any], seed: int) -> Path:
    """The model after learning rows as continued pre-training."""
    job = make_job(folder, model, "cpt", rows, StageSettings.model_validate(STEPS | changes), seed)
    training.train(job)
    return job.output


def text_loss(model: Path, texts: Sequence[str]) -> float:
    """Nats per token of texts."""
    lm = load(model)
    found = likelihoods(lm, [encode(lm.tokenizer, [{"role": "document", "content": text}], 256) for text in texts])
    return float(found.text_loss.sum() / found.text_tokens.sum())
