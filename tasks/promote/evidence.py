"""From rows of `evaluations` to what the gate compares."""

import json
from collections.abc import Iterable

import numpy as np
import polars as pl

from configs.settings import PromoteSettings
from storage.evidence import Comparison, Evidence, Sample
from tasks.promote.gate import Metric, Scores, compare


def metrics(settings: PromoteSettings) -> tuple[Metric, ...]:
    """Every metric that a verdict shows, in the order of its reasons."""
    return (
        Metric(
            "holdout_loss",
            "primary",
            "lower",
            label="Loss on answers that somebody endorsed",
            unit="nats per token",
            remedy="Thumbs up and edits on held-out conversations add to them.",
        ),
        Metric(
            "general_loss",
            "guardrail",
            "lower",
            limit=settings.max_forgetting,
            label="Loss on general text (forgetting)",
            unit="nats per token",
            remedy="Add a source with domain: general, or more rows to the one there is.",
        ),
        Metric("preference_accuracy", "info", "higher"),
        Metric("stop_rate", "info", "higher"),
        Metric("empty_rate", "info", "lower"),
        Metric("repetition", "info", "lower"),
    )


def comparisons(
    rows: pl.DataFrame, champion: str, challenger: str, settings: PromoteSettings, seed: int
) -> list[Comparison]:
    """Both models by each metric that was measured on items of at least two conversations.

    Args:
        rows: of `evaluations`, both models'.
        champion: id of the model that serves.
        challenger: id of the other one.
        settings: confidence, resamples and limits.
        seed: of the bootstrap.
    """
    pairs = _pairs(rows, champion, challenger).partition_by("metric", as_dict=True)
    measured: Iterable[tuple[Metric, pl.DataFrame | None]] = (
        (metric, pairs.get((metric.name,))) for metric in metrics(settings)
    )
    return [
        compare(metric, scores(found), confidence=settings.confidence, resamples=settings.resamples, seed=seed)
        for metric, found in measured
        if found is not None and found["group"].n_unique() > 1
    ]


def scores(pairs: pl.DataFrame) -> Scores:
    """Paired rows as arrays."""
    return Scores(
        champion=pairs["champion"].to_numpy().astype(np.float64),
        challenger=pairs["challenger"].to_numpy().astype(np.float64),
        weight=pairs["weight"].to_numpy().astype(np.float64),
        group=pairs["group"].to_numpy(),
    )


def samples(rows: pl.DataFrame, champion: str, challenger: str) -> tuple[Sample, ...]:
    """What both models wrote to the same prompts."""
    written = rows.filter(pl.col("output").is_not_null()).sort("item")
    before, after = (
        {row["item"]: json.loads(row["output"]) for row in written.filter(model=model).iter_rows(named=True)}
        for model in (champion, challenger)
    )
    return tuple(
        Sample(prompt=text["prompt"], champion=text["answer"], challenger=after[item]["answer"])
        for item, text in before.items()
        if item in after
    )


def gather(rows: pl.DataFrame, champion: str, challenger: str, settings: PromoteSettings, seed: int) -> Evidence:
    """All that a verdict rests on; for the arguments see `comparisons`."""
    return Evidence(
        metrics=tuple(comparisons(rows, champion, challenger, settings, seed)),
        samples=samples(rows, champion, challenger),
    )


def _pairs(rows: pl.DataFrame, champion: str, challenger: str) -> pl.DataFrame:
    """A row per metric and item that both models were scored on, in a stable order."""
    before = rows.filter(model=champion).select("metric", "item", "group", "weight", champion="value")
    after = rows.filter(model=challenger).select("metric", "item", challenger="value")
    return before.join(after, on=["metric", "item"]).filter(pl.col("weight") > 0).sort("metric", "item")
