"""The figures of a batch, read from the lake: for the report, the command line and Prefect's artifacts."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from storage import files
from storage.lake import Lake
from storage.snapshot import SYNTHETIC
from storage.trained import RESULT
from storage.trained import samples as samples_of
from storage.verdicts import champion

STEPS: Mapping[str, str] = {
    "collect": "Collected",
    "dedupe": "Duplicates found",
    "scrub": "Personal data scrubbed",
    "dedupe_scrubbed": "Duplicates after scrubbing",
    "split": "Split",
    "prefer": "Preferences",
    "score": "Scored",
    "synthesize": "Synthesized",
    "synthesize_pairs": "Pairs synthesized",
    "mix_cpt": "Mixed for CPT",
    "mix_sft": "Mixed for SFT",
    "mix_distill": "Mixed for distillation",
    "mix_dpo": "Mixed for DPO",
    "mix_kto": "Mixed for KTO",
    "mix_orpo": "Mixed for ORPO",
    "mix_reward": "Mixed for the reward model",
    "mix_grpo": "Mixed for GRPO",
    "mix_rloo": "Mixed for RLOO",
    "evaluate": "Evaluated",
    "review": "Reviewed by people",
}
"""Every step that keeps books, in the order of the pipeline, and what it is called."""
GOES_ON = ("interactions", "kept", "scrubbed", "curated", "train", "mixed", "scored")
"""What the steps call the rows that the next step gets."""
ENTITY = "entity:"
"""How the scrub step's facts about a type of personal data begin."""
RECHECK = "recheck_"
"""How its facts about the second look begin."""


@dataclass(frozen=True)
class FunnelRow:
    """What went into a step and what became of it.

    Args:
        step: its name, as in the table books.
        title: what a person calls it.
        synthetic: whether it worked on synthetic rows.
        rows_in: rows that went in.
        out: what became of them, what goes on first, then the largest; adds up to `rows_in`.
        facts: other figures of the step.
    """

    step: str
    title: str
    synthetic: bool
    rows_in: int
    out: tuple[tuple[str, int], ...]
    facts: Mapping[str, float]


@dataclass(frozen=True)
class MixtureRow:
    """A part of what a stage was trained on."""

    stage: str
    part: str
    rows: int
    trained_tokens: int
    share: float  # of the stage's trained tokens


@dataclass(frozen=True)
class LossRow:
    """A training: `first` and `last` are the mean losses of its first and last tenth."""

    stage: str
    model: str
    first: float
    last: float
    curve: tuple[tuple[float, float], ...]  # step, loss
    rows: int
    tokens: int
    seconds: float
    left_out: Mapping[str, int]  # rows by reason


@dataclass(frozen=True)
class LineageRow:
    """A model on the way from the first one to a champion."""

    model: str
    stage: str
    batch: str
    rows: int
    tokens: int


def funnel(lake: Lake, batch: str) -> list[FunnelRow]:
    """Each step's books for a batch and its synthetic rows, in the order of the pipeline."""
    generated = pl.col("batch").str.starts_with(batch + SYNTHETIC)
    books = lake.read("books").filter((pl.col("batch") == batch) | generated)
    shards = pl.col("value").sum()  # each keeps books of its own
    sums = books.group_by("step", generated.alias("synthetic"), "kind", "name").agg(shards).collect()
    found = sums.partition_by("step", "synthetic", as_dict=True)
    order = [(step, synthetic) for step in STEPS for synthetic in (False, True)]
    return [
        _funnel_row(step, synthetic, found[step, synthetic]) for step, synthetic in order if (step, synthetic) in found
    ]


def entities(lake: Lake, batch: str) -> list[tuple[str, int]]:
    """Types of personal data and secrets that were replaced, most frequent first."""
    counts: Counter[str] = Counter()
    for row in funnel(lake, batch):
        if row.step == "scrub" and not row.synthetic:
            prefixed = {name: value for name, value in row.facts.items() if name.startswith(ENTITY)}
            counts.update({name.removeprefix(ENTITY): int(value) for name, value in prefixed.items()})
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))


def second_look(lake: Lake, batch: str) -> dict[str, int]:
    """What looking again at a sample of scrubbed rows found: rows, findings, rows_mended, rows_refused."""
    facts = next((row.facts for row in funnel(lake, batch) if row.step == "scrub" and not row.synthetic), {})
    return {name.removeprefix(RECHECK): int(value) for name, value in facts.items() if name.startswith(RECHECK)}


def mixture(lake: Lake, batch: str) -> list[MixtureRow]:
    """What each stage of a batch was trained on, by part."""
    return [
        MixtureRow(manifest["stage"], part, figures["rows"], figures["trained_tokens"], figures["share"])
        for manifest in manifests(lake, batch)
        for part, figures in manifest["parts"].items()
        if figures["rows"]
    ]


def manifests(lake: Lake, batch: str) -> list[dict[str, Any]]:
    """The manifests of the mixtures that a batch's models were trained on, in the order of training."""
    wanted = [row["mixture"] for row in _trained(lake, batch)]
    rows = lake.read("manifests").filter(pl.col("batch").is_in(wanted)).collect()
    known = {row["batch"]: json.loads(row["manifest"]) for row in rows.iter_rows(named=True)}
    return [known[name] for name in wanted if name in known]


def losses(lake: Lake, batch: str) -> list[LossRow]:
    """The trainings of a batch, in order."""
    return [_loss_row(row, json.loads(row["metrics"])) for row in _trained(lake, batch)]


def samples(lake: Lake, batch: str) -> list[tuple[str, tuple[str, ...]]]:
    """Each stage that a batch trained, and rows as its model read them, trained parts in « »; from models' folders."""
    return [(row["stage"], shown) for row in _trained(lake, batch) if (shown := _shown(lake, row["path"]))]


def lineage(lake: Lake, model: str | None = None) -> list[LineageRow]:
    """The way from the first model to a model (by default the champion), oldest first."""
    known = {row["id"]: row for row in lake.read("models").collect().iter_rows(named=True)}
    chain: list[LineageRow] = []
    current = model or champion(lake)
    while current is not None and current in known:
        row = known[current]
        metrics = json.loads(row["metrics"])
        made = LineageRow(
            current, row["stage"], row["batch"], int(metrics.get("rows", 0)), int(metrics.get("tokens", 0))
        )
        chain.append(made)
        current = row["parent"]
    return chain[::-1]


def batch_before(lake: Lake, batch: str) -> str | None:
    """The batch that was collected before another one; None before the first."""
    names = lake.read("books", step="collect").filter(pl.col("batch") < batch).select("batch").max().collect()
    found: str | None = names.item()
    return found


def trainings(lake: Lake, batch: str) -> list[dict[str, Any]]:
    """Stage and settings (of its training, and of mixing under `mix`) of each model that a batch trained."""
    mixed = {manifest["stage"]: manifest["settings"] for manifest in manifests(lake, batch)}
    return [
        {"stage": row["stage"], "settings": json.loads(row["settings"]) | {"mix": mixed.get(row["stage"], {})}}
        for row in _trained(lake, batch)
    ]


def _funnel_row(step: str, synthetic: bool, books: pl.DataFrame) -> FunnelRow:
    kinds = {str(kind): part for (kind,), part in books.partition_by("kind", as_dict=True).items()}
    out = kinds.get("out", books.clear()).sort(
        pl.col("name").is_in(GOES_ON), "value", "name", descending=[True, True, False]
    )
    facts = kinds.get("fact", books.clear())
    return FunnelRow(
        step=step,
        title=STEPS[step],
        synthetic=synthetic,
        rows_in=int(kinds["in"]["value"].sum()),
        out=tuple((name, int(value)) for name, value in out.select("name", "value").iter_rows() if value),
        facts=dict(facts.select("name", "value").iter_rows()),
    )


def _trained(lake: Lake, batch: str) -> list[dict[str, Any]]:
    """The models that a batch trained last, one a stage, in the order of training."""
    rows = lake.read("models", batch=batch).filter(pl.col("mixture").is_not_null())
    newest = rows.sort("created_at").unique("stage", keep="last", maintain_order=True)
    return list(newest.collect().iter_rows(named=True))


def _shown(lake: Lake, path: str) -> tuple[str, ...]:
    """Rows that a model's folder shows, if it is still there."""
    result = files.read(lake, path, RESULT)
    return tuple(samples_of(result)) if result is not None else ()


def _loss_row(row: Mapping[str, Any], metrics: Mapping[str, Any]) -> LossRow:
    curve = tuple((float(step), float(loss)) for step, loss in metrics.get("losses", ()))
    values = [loss for _, loss in curve] or [float("nan")]
    tenth = max(1, len(values) // 10)
    return LossRow(
        stage=row["stage"],
        model=row["id"],
        first=sum(values[:tenth]) / tenth,
        last=sum(values[-tenth:]) / tenth,
        curve=curve,
        rows=int(metrics.get("rows", 0)),
        tokens=int(metrics.get("tokens", 0)),
        seconds=float(metrics.get("seconds", 0.0)),
        left_out=dict(metrics.get("left_out", {})),
    )
