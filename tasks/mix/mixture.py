"""A mixture: exactly the rows that one training reads, with a manifest that says where they come from."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from configs.settings import MixSettings
from storage.lake import Lake
from storage.registry import models
from storage.snapshot import digest
from tasks.lm.load import load_tokenizer
from tasks.lm.template import template_hash
from tasks.mix.baselines import compare
from tasks.mix.rip import rip
from tasks.mix.select import JUDGED, PAIRS, conversations, judgements
from tasks.mix.share import Part, take
from tasks.mix.views import VIEWS, Tokens, conversation_texts, judged_texts, make_views

EXAMPLES = 3
"""Rows that the manifest names for each rule."""


@dataclass(frozen=True)
class Mixed:
    """What mixing made.

    Args:
        id: hash of the rows, the stage and the template: equal mixtures have equal ids, whenever they were made.
        rows: for the table mixtures.
        manifest: for the table manifests, as JSON.
        rows_in: candidates before any rule.
        dropped: candidates left out, by reason.
        new: rows that the model to be trained has not been trained on in this stage; replay does not count.
    """

    id: str
    rows: pl.DataFrame
    manifest: Mapping[str, Any]
    rows_in: int
    dropped: Mapping[str, int]
    new: int


def make_mixture(
    lake: Lake, stage: str, batch: str, settings: MixSettings, max_length: int, model: str, seed: int
) -> Mixed:
    """Select, count, sample and describe the rows of a stage.

    Args:
        lake: where the tables are.
        stage: one of VIEWS.
        batch: the newest batch that counts.
        settings: rules and shares.
        max_length: tokens of a row at most.
        model: folder of the model to be trained; its tokenizer counts.
        seed: the sample follows from it.
    """
    tokens = Tokens(load_tokenizer(model), max_length)
    template = template_hash(tokens.tokenizer)
    if stage in JUDGED:
        settings = settings.model_copy(update={"general_share": 0.0})  # nobody compares answers of the general set
        candidates = judgements(lake, stage, batch, settings.select, settings.max_rows, seed)
        texts = judged_texts(lake, batch, candidates.rows)
    else:
        candidates = conversations(lake, stage, batch, settings.select, settings.max_rows, seed)
        texts = conversation_texts(lake, stage, batch, candidates.rows)
    views, refused = make_views(texts, lambda row: VIEWS[stage](row, tokens))
    poor, rip_notes = (
        rip(lake, texts.join(views, on="id", how="semi"), settings.select.rip)
        if stage in PAIRS
        else (refused.clear(), {})
    )
    taken, parts = take(views.join(poor, on="id", how="anti", maintain_order="left"), settings)
    taken = taken.sort("order")
    beyond = views.join(pl.concat([taken.select("id"), poor.select("id")]), on="id", how="anti")
    left_out = pl.concat([candidates.left_out, refused, poor, beyond.select("id", reason=pl.lit("beyond_share"))])
    dropped = dict(left_out.group_by("reason").len().sort("reason").iter_rows())
    rows = taken.drop("part", "order", "from_batch").with_columns(stage=pl.lit(stage))
    name = digest(stage, template, *(json.dumps(row, sort_keys=True) for row in rows.iter_rows(named=True)))
    manifest = {
        "id": name,
        "stage": stage,
        "batch": batch,
        "seed": seed,
        "template_hash": template,
        "max_length": max_length,
        "settings": settings.model_dump(mode="json"),
        "rows": rows.height,
        "tokens": int(rows["tokens"].sum()),
        "trained_tokens": int(rows["trained_tokens"].sum()),
        "parts": {part: _described(figures, int(rows["trained_tokens"].sum())) for part, figures in parts.items()},
        "sources": _by(taken, "source"),
        "batches": _by(taken, "from_batch"),
        "dropped": dropped,
        "examples": _examples(left_out, seed),
        "notes": {**candidates.notes, **rip_notes},
        "baselines": compare(candidates.pool, taken.filter(pl.col("part") == "user")["id"], seed),
    }
    fresh = taken.filter(pl.col("part") != "general", ~pl.col("id").is_in(_learned(lake, stage, model)))
    return Mixed(name, rows, manifest, rows.height + sum(dropped.values()), dropped, fresh.height)


def _examples(left_out: pl.DataFrame, seed: int) -> dict[str, list[str]]:
    """Ids of a few rows that each rule leaves out; never texts, which erasure could not reach here."""
    order = pl.Series("order", [digest(str(seed), name) for name in left_out["id"]], dtype=pl.String)
    few = left_out.with_columns(order).sort("order").group_by("reason").agg(pl.col("id").head(EXAMPLES))
    return dict(few.sort("reason").iter_rows())


def _described(part: Part, total: int) -> dict[str, Any]:
    share = part.trained_tokens / total if total else 0.0
    return {**asdict(part), "share": round(share, 4), "missing_tokens": part.wanted_tokens - part.trained_tokens}


def _by(rows: pl.DataFrame, column: str) -> dict[str, dict[str, int]]:
    """Rows and trained tokens by the values of a column."""
    sums = rows.group_by(column).agg(pl.len(), pl.col("trained_tokens").sum()).sort(column)
    return {name: {"rows": count, "trained_tokens": tokens} for name, count, tokens in sums.iter_rows()}


def _learned(lake: Lake, stage: str, path: str) -> list[str]:
    """Ids of the rows that a model or its ancestors were trained on in this stage."""
    known = models(lake)
    by_id = {row["id"]: row for row in known.iter_rows(named=True)}
    current = next((row for row in by_id.values() if path in {row["path"], str(lake.local(row["path"]))}), None)
    mixtures = []
    while current is not None:
        if current["stage"] == stage and current["mixture"] is not None:
            mixtures.append(current["mixture"])
        current = by_id.get(current["parent"])
    rows = lake.read("mixtures").filter(pl.col("batch").is_in(mixtures)).select("id")
    return rows.unique().sort("id").collect()["id"].to_list()
