"""From rows of `evaluations` to what the gate compares."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from configs.settings import PromoteSettings
from storage.evidence import Comparison, Evidence, Sample
from tasks.promote.gate import Metric, Scores, compare

PRIMARY = "holdout_loss"
GENERAL = "general_loss"
SINCE_FIRST = "general_loss_since_first"
AGREEMENT = "merge_agreement"


@dataclass(frozen=True)
class Contest:
    """Whose scores are compared: ids of the model that serves, of its challenger, and of the lake's first model."""

    champion: str
    challenger: str
    first: str

    @property
    def young(self) -> bool:
        """Whether the champion is the first model still, so that both kinds of forgetting are the same."""
        return self.first in {self.champion, self.challenger}


def metrics(settings: PromoteSettings, contest: Contest) -> list[Metric]:
    """Every metric that a verdict shows, in the order of its reasons."""
    nats = "nats per token"
    remedy = "Add a source with domain: general, or more rows to the one there is."
    forgetting = Metric(
        GENERAL, "guardrail", "lower", settings.max_forgetting, "Loss on general text (forgetting)", nats, remedy
    )
    since_first = Metric(
        SINCE_FIRST,
        "guardrail",
        "lower",
        settings.max_total_forgetting,
        "Loss on general text since the first model",
        nats,
        remedy,
    )
    return [
        Metric(
            PRIMARY,
            "primary",
            "lower",
            label="Loss on answers that somebody endorsed",
            unit=nats,
            remedy="Thumbs up and edits on held-out conversations add to them.",
        ),
        forgetting,
        *([] if contest.young else [since_first]),
        Metric("stop_rate", "veto", "higher", label="Share of answers that end by themselves"),
        Metric("empty_rate", "veto", "lower", label="Share of empty answers"),
        Metric("preference_accuracy", "info", "higher"),
        Metric("repetition", "info", "lower"),
    ]


def gather(
    rows: pl.DataFrame, contest: Contest, settings: PromoteSettings, *, primary_confidence: float, seed: int
) -> Evidence:
    """All that a verdict rests on.

    Args:
        rows: of `evaluations`, all models'.
        contest: whose are compared.
        settings: confidence, resamples and limits.
        primary_confidence: of the primary metric's bounds; `settings.confidence` is that of all others.
        seed: of the bootstrap.
    """
    known = metrics(settings, contest)
    pairs = pl.concat(
        [
            _pairs(rows, contest.champion, contest.challenger),
            _pairs(rows.filter(metric=GENERAL), contest.first, contest.challenger).with_columns(
                metric=pl.lit(SINCE_FIRST)
            ),
        ]
    )
    found = [
        _compared(metric, part, settings, primary_confidence if metric.role == "primary" else settings.confidence, seed)
        for metric in known
        if (part := pairs.filter(metric=metric.name))["group"].n_unique() > 1
    ]
    slices = [
        _compared(replace(known[0], name=name, role="info"), part, settings, settings.confidence, seed)
        for name, part in _slices(pairs.filter(metric=PRIMARY), settings.min_items)
    ]
    return Evidence((*found, *slices), samples(rows, contest))


def agreement(rows: pl.DataFrame, challenger: str) -> float | None:
    """Share of tokens on which the merged model and its adapter agree; None where that was not measured."""
    found = rows.filter(model=challenger, metric=AGREEMENT)
    return float(np.average(found["value"], weights=found["weight"])) if found.height else None


def samples(rows: pl.DataFrame, contest: Contest) -> tuple[Sample, ...]:
    """What both models wrote to the same prompts."""
    written = rows.filter(pl.col("output").is_not_null()).sort("item")
    before, after = (
        {row["item"]: json.loads(row["output"]) for row in written.filter(model=model).iter_rows(named=True)}
        for model in (contest.champion, contest.challenger)
    )
    return tuple(
        Sample(prompt=text["prompt"], champion=text["answer"], challenger=after[item]["answer"])
        for item, text in before.items()
        if item in after
    )


def _compared(
    metric: Metric, pairs: pl.DataFrame, settings: PromoteSettings, confidence: float, seed: int
) -> Comparison:
    scores = Scores(
        champion=pairs["before"].to_numpy().astype(np.float64),
        challenger=pairs["after"].to_numpy().astype(np.float64),
        weight=pairs["weight"].to_numpy().astype(np.float64),
        group=pairs["group"].to_numpy(),
    )
    return compare(metric, scores, confidence=confidence, resamples=settings.resamples, seed=seed)


def _slices(pairs: pl.DataFrame, least: int) -> Iterator[tuple[str, pl.DataFrame]]:
    """Each language of enough conversations, where there are several: an average can hide one that got worse."""
    parts = pairs.partition_by("slice", as_dict=True)
    if len(parts) > 1:
        for (name,), part in sorted(parts.items(), key=lambda pair: str(pair[0])):
            if part["group"].n_unique() >= least:
                yield f"{PRIMARY}:{name}", part


def _pairs(rows: pl.DataFrame, before: str, after: str) -> pl.DataFrame:
    """A row per metric and item that both models were scored on, in a stable order."""
    one = rows.filter(model=before).select("metric", "item", "group", "slice", "weight", before="value")
    other = rows.filter(model=after).select("metric", "item", after="value")
    return one.join(other, on=["metric", "item"]).filter(pl.col("weight") > 0).sort("metric", "item")
