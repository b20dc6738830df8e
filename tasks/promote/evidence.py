"""From rows of `evaluations` to what the gate compares."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from configs.settings import PromoteSettings
from storage.evidence import TASK, Comparison, Evidence, Sample
from tasks.inference.judge import Quality
from tasks.promote.gate import Metric, Scores, compare

PRIMARY = "holdout_loss"
GENERAL = "general_loss"
SINCE_FIRST = "general_loss_since_first"
EARLIER = "holdout_loss_earlier"
AGREEMENT = "merge_agreement"
RATES = (
    ("stop_rate", "higher", "Share of answers that end by themselves"),
    ("empty_rate", "lower", "Share of empty answers"),
    ("refusal_rate", "lower", "Share of answers that refuse"),
    ("language_match", "higher", "Share of answers in the language of the prompt"),
    ("repetition", "lower", "Repeated share of an answer"),
)
"""Metrics of answers to the same prompts, which must not get worse."""
JUDGED = ("judge_win", *(f"judged_{aspect}" for aspect in Quality.model_fields))
SHOWN_ONLY = ("preference_accuracy", "answer_reward", "exact_match", "json_shape", "bleu", "rouge_l", *JUDGED)
"""Metrics that a person sees and nothing hangs on."""
SLICES = ("language", "domain", "source")
SHOWN = 8
"""Answers that a verdict keeps side by side."""


@dataclass(frozen=True)
class Contest:
    """Whose scores are compared.

    Args:
        champion: id of the model that serves.
        challenger: id of the model that was trained.
        first: id of the lake's first model.
        trusted: newest batch whose items the champion was judged on; endorsed answers that came later may have been
            tampered with together with what the challenger learned from. None: there are no earlier ones.
    """

    champion: str
    challenger: str
    first: str
    trusted: str | None

    @property
    def young(self) -> bool:
        """Whether the champion is the first model still, so that both kinds of forgetting are the same."""
        return self.first in {self.champion, self.challenger}


def metrics(settings: PromoteSettings, contest: Contest, rows: pl.DataFrame) -> list[Metric]:
    """Every metric that a verdict shows, in the order of its reasons.

    Args:
        settings: limits.
        contest: whose scores are compared.
        rows: of `evaluations`, which name the tasks that the models did.
    """
    tasks = rows.filter(pl.col("metric").str.starts_with(TASK))["metric"].unique().sort()
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
    earlier = Metric(
        EARLIER,
        "guardrail",
        "lower",
        settings.max_regression,
        "Loss on answers that the champion was judged on already",
        nats,
        needed=False,
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
        earlier,
        *(Metric(name, "veto", better, settings.max_rate_drop, label) for name, better, label in RATES),
        *(
            Metric(name, "veto", "higher", settings.max_task_drop, f"Score on the task {name.removeprefix(TASK)}")
            for name in tasks
        ),
        *(Metric(name, "info", "higher") for name in SHOWN_ONLY),
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
    known = metrics(settings, contest, rows)
    both = _pairs(rows, contest.champion, contest.challenger)
    known_before = pl.lit(False) if contest.trusted is None else pl.col("since") <= contest.trusted + "~"
    trusted = both.filter(pl.col("metric") == PRIMARY, known_before)
    since_first = _pairs(rows.filter(metric=GENERAL), contest.first, contest.challenger)
    pairs = pl.concat(
        [
            both,
            trusted.with_columns(metric=pl.lit(EARLIER)),
            since_first.with_columns(metric=pl.lit(SINCE_FIRST)),
        ]
    )
    vetoes = sum(metric.role == "veto" for metric in known)
    confidence = {"primary": primary_confidence, "veto": 1 - (1 - settings.confidence) / vetoes}
    found = [
        _compared(metric, part, settings, confidence.get(metric.role, settings.confidence), seed)
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
    """What both models wrote to the same prompts: the first so many."""
    written = rows.filter(pl.col("output").is_not_null()).sort("item")
    before, after = (
        {row["item"]: json.loads(row["output"]) for row in written.filter(model=model).iter_rows(named=True)}
        for model in (contest.champion, contest.challenger)
    )
    both = [(text, after[item]) for item, text in before.items() if item in after]
    return tuple(
        Sample(prompt=text["prompt"], champion=text["answer"], challenger=other["answer"])
        for text, other in both[:SHOWN]
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
    """Each language, domain and source of enough conversations, where there are several: an average can hide one that
    got worse."""
    for kind in SLICES:
        parts = pairs.drop_nulls(kind).partition_by(kind, as_dict=True)
        if len(parts) > 1:
            for (name,), part in sorted(parts.items(), key=lambda pair: str(pair[0])):
                if part["group"].n_unique() >= least:
                    yield f"{PRIMARY}:{name}", part


def _pairs(rows: pl.DataFrame, before: str, after: str) -> pl.DataFrame:
    """A row per metric and item that both models were scored on, in a stable order."""
    one = rows.filter(model=before).select("metric", "item", "group", "since", *SLICES, "weight", before="value")
    other = rows.filter(model=after).select("metric", "item", after="value")
    return one.join(other, on=["metric", "item"]).filter(pl.col("weight") > 0).sort("metric", "item")
