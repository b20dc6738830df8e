"""What the page of a batch shows: figures from the tables, charts from the figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import polars as pl
from markupsafe import Markup

from storage.lake import Lake
from storage.verdicts import champion
from tasks.report import charts, descent, judged, tables
from tasks.report.changes import changes
from tasks.report.insight import SAMPLE, Insight, insight
from tasks.report.judged import Verdict
from tasks.report.map import topic_map
from tasks.report.selection import CHOICES, selections
from tasks.report.tables import FunnelRow, LossRow

SHOWN = 12
"""Most kinds of personal data, and verdicts."""

SCORES: Mapping[str, tuple[str, str]] = {
    "perplexity": ("Perplexity", "of the text under the first model"),
    "reward": ("Reward", "probability that a user likes the answer"),
    "answer_loss": ("Answer loss", "nats per token, given the question"),
    "ifd": ("Instruction difficulty", "answer loss, over that without the question"),
    "repetition": ("Repetition", "share of repeated word triples"),
    "symbol_share": ("Symbols", "share of other signs than letters and digits"),
    "chars": ("Length", "characters"),
}
"""The scores that are shown, what they are called and what they are."""


@dataclass(frozen=True)
class Tile:
    """A figure at the head of the page, and a note under it."""

    title: str
    value: str
    note: str = ""


def content(lake: Lake, batch: str) -> dict[str, Any]:
    """Everything that the template names."""
    funnel, losses = tables.funnel(lake, batch), tables.losses(lake, batch)
    verdict, history = judged.verdict(lake, batch), judged.verdicts(lake)
    duplicates = lake.read("duplicates", batch=batch).select("reason", "similarity").collect()
    mixture, models = tables.mixture(lake, batch), descent.nodes(lake)
    return {
        "batch": batch,
        "champion": champion(lake),
        "verdict": verdict,
        "verdicts": judged.VERDICTS,
        "tiles": [*_collected(lake, batch, funnel), *_trained(losses), *_better(verdict)],
        "funnel": funnel,
        "widest": max((row.rows_in for row in funnel), default=0) or 1,
        "duplicates": dict(duplicates.group_by("reason").len().sort("reason").iter_rows()),
        "similarity": _similarity(duplicates),
        "entities": tables.entities(lake, batch)[:SHOWN],
        "second_look": tables.second_look(lake, batch),
        "scores": scores(lake, batch),
        "mixtures": [(stage, list(rows)) for stage, rows in groupby(mixture, lambda row: row.stage)],
        "judge": judged.judge(lake, batch),
        "losses": [(row, charts.curve(row.curve, f"Loss of {row.stage}")) for row in losses if row.curve],
        "read": tables.samples(lake, batch),
        "trend": trend(history),
        "history": history[::-1][:SHOWN],
        "descent": descent.graph(models) if models else None,
        "earlier": lake.read("models").filter(kind="lm").select(pl.len()).collect().item() - len(models),
        "changes": changes(lake, batch),
        "rollout": judged.rollout(lake, verdict) if verdict else [],
        "selections": selections(lake, batch),
        "choices": CHOICES.values(),
        **_insight(insight(lake, batch)),
    }


def _insight(found: Insight | None) -> dict[str, Any]:
    if found is None:
        return {"insight": None}
    shares = [share for topic in found.topics for share in (topic.share, topic.before or 0.0)]
    diversity = [(name.split("-")[0], value) for name, value in found.diversity]
    return {
        "insight": found,
        "map": topic_map(found),
        "widest_topic": max(shares),
        "diversity": charts.columns(diversity, "Diversity of prompts, batch by batch"),
        "sample": SAMPLE,
    }


def _collected(lake: Lake, batch: str, funnel: Sequence[FunnelRow]) -> list[Tile]:
    """What came in and what was kept, beside the batch before."""
    now = _counts(funnel)
    before = tables.batch_before(lake, batch)
    then = _counts(tables.funnel(lake, before)) if before else {}
    return [
        Tile(title, f"{now[title]:,}", f"{then[title]:,} in the batch before" if title in then else "") for title in now
    ]


def _counts(funnel: Sequence[FunnelRow]) -> dict[str, int]:
    own = {row.step: row for row in funnel if not row.synthetic}
    counts = {"records collected": own["collect"].rows_in} if "collect" in own else {}
    return counts | ({"rows curated": dict(own["score"].out).get("curated", 0)} if "score" in own else {})


def _trained(losses: Sequence[LossRow]) -> list[Tile]:
    stages = ", ".join(f"{row.stage.upper()} in {row.seconds:,.0f} s" for row in losses)
    return [Tile("tokens trained on", f"{sum(row.tokens for row in losses):,}", stages)] if losses else []


def _better(verdict: Verdict | None) -> list[Tile]:
    if verdict is None or (primary := verdict.primary) is None:
        return []
    note = f"nats per token, between {primary.lower:+.3f} and {primary.upper:+.3f}"
    return [Tile("better than the champion", f"{primary.delta:+.3f}", note)]


def _similarity(duplicates: pl.DataFrame) -> Markup | None:
    near = duplicates.filter(pl.col("reason") == "near")["similarity"].drop_nulls()
    return charts.histogram(near.to_list(), "Similarity of near duplicates") if near.len() else None


def scores(lake: Lake, batch: str) -> list[tuple[str, str, Markup]]:
    """Title, explanation and histogram of each score that was measured."""
    rows = lake.read("curated", batch=batch).select(SCORES.keys()).collect()
    limits = _limits(lake, batch, rows["perplexity"].drop_nulls())
    return [
        (title, note, charts.histogram(values.to_list(), title, **limits.get(name, {})))
        for name, (title, note) in SCORES.items()
        if (values := rows[name].drop_nulls()).len()
    ]


def _limits(lake: Lake, batch: str, perplexity: pl.Series) -> dict[str, dict[str, Any]]:
    """How each score is drawn: its thresholds, as the batch's mixtures were made with, and its axis."""
    manifest = next(iter(tables.manifests(lake, batch)), None)
    if manifest is None:
        return {"perplexity": {"log": True}, "chars": {"log": True}}
    select = manifest["settings"]["select"]
    low, high = (perplexity.quantile(at) for at in select["perplexity_quantiles"])
    return {
        "perplexity": {"low": low, "high": high, "log": True},
        "reward": {"low": select["min_reward"]},
        "repetition": {"high": select["max_repetition"]},
        "symbol_share": {"high": select["max_symbol_share"]},
        "chars": {"low": select["min_chars"], "log": True},
    }


def trend(history: Sequence[Verdict]) -> Markup | None:
    """The primary difference of each challenger by its last verdict, oldest left; None before the first one."""
    points = [
        charts.Point(found.batch.split("-")[0], found.verdict, primary.delta, primary.lower, primary.upper)
        for found in judged.last_verdicts(history)
        if (primary := found.primary) is not None
    ]
    return charts.trend(points, "Improvement over the champion, batch by batch") if points else None
