"""A mixture: exactly the rows that one training reads, with a manifest that says where they come from."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from configs.mixing import JUDGED, PAIRS, MixSettings, MixSource, leading, weights
from configs.sources import CollectSettings
from storage.lake import Lake
from storage.registry import ancestors, in_folder, models
from storage.snapshot import digest
from tasks.lm.load import load_tokenizer
from tasks.lm.template import check_marks, template_hash
from tasks.mix.baselines import compare
from tasks.mix.left_out import LeftOut
from tasks.mix.outside import file_rows
from tasks.mix.rights import rights
from tasks.mix.rip import rip
from tasks.mix.sample import Sample
from tasks.mix.select import Candidates, conversations, judgements, replayed
from tasks.mix.share import Part, take
from tasks.mix.views import VIEWS, Tokens, conversation_texts, judged_texts, make_views, outside_texts


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

    def skipped(self, settings: MixSettings) -> str | None:
        """Why nothing is trained on it, if so."""
        if self.new >= settings.min_rows:
            return None
        return f"{self.new} new rows, fewer than mix.min_rows = {settings.min_rows}: they wait for the next batch"


def make_mixture(
    lake: Lake,
    stage: str,
    batch: str,
    settings: MixSettings,
    collect: CollectSettings,
    max_length: int,
    model: str,
    seed: int,
) -> Mixed:
    """Select, count, sample and describe the rows of a stage.

    Args:
        lake: where the tables are.
        stage: one of VIEWS.
        batch: the newest batch that counts.
        settings: rules and shares.
        collect: what it asks of consent, which rows of tables have passed before.
        max_length: tokens of a row at most.
        model: folder of the model to be trained; its tokenizer counts.
        seed: the sample follows from it.
    """
    tokens = Tokens(load_tokenizer(model), max_length)
    template = template_hash(tokens.tokenizer)
    check_marks(tokens.tokenizer)
    recipe = settings.recipe(stage)
    shares = weights(recipe)
    left_out = LeftOut()
    before = _trained_before(lake, stage, model)
    sample = Sample(seed, batch, since=max(before["batch"], default=""))
    sources, texts, candidates = _candidates(lake, stage, settings, collect, left_out, sample)
    rows_in = texts.height + left_out.counts.total()
    views, refused = make_views(texts, lambda row: VIEWS[stage](row, tokens))
    poor, rip_notes = (
        rip(lake, texts.join(views, on="id", how="semi"), settings.select.rip)
        if stage in PAIRS
        else (refused.clear(), {})
    )
    good = views.join(poor, on="id", how="anti", maintain_order="left")
    taken, parts = take(good, recipe, settings.max_rows)
    taken = taken.sort("order")
    beyond = good.join(taken, on="id", how="anti")
    left_out.add_all(pl.concat([refused, poor, beyond.select("id", reason=pl.lit("beyond_share"))]))
    dropped = dict(sorted(left_out.counts.items()))
    rows = taken.with_columns(stage=pl.lit(stage), replay=pl.col("part").is_in(replayed(recipe))).drop(
        "part", "order", "from_batch"
    )
    read = rows.drop("comes_from").iter_rows(named=True)
    name = digest(stage, template, *(json.dumps(row, sort_keys=True) for row in read))
    trained = int(rows["trained_tokens"].sum())
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
        "trained_tokens": trained,
        "parts": {name: _described(part, shares.get(name), sources[name], trained) for name, part in parts.items()},
        "sources": _by(taken, "source"),
        "batches": _by(taken, "from_batch"),
        "dropped": dropped,
        "examples": left_out.examples,
        "notes": {**candidates.notes, **rip_notes},
        "baselines": compare(candidates.pool, taken.filter(pl.col("part").is_in(_names(leading(recipe))))["id"], seed),
    }
    learned = _learned(lake, before["mixture"])
    new = taken.filter(~pl.col("part").is_in(replayed(recipe)), ~pl.col("id").is_in(learned.implode()))
    return Mixed(name, rows, manifest, rows_in, dropped, new["id"].n_unique())


def _candidates(
    lake: Lake, stage: str, settings: MixSettings, collect: CollectSettings, left_out: LeftOut, sample: Sample
) -> tuple[dict[str, dict[str, Any]], pl.DataFrame, Candidates]:
    """Where each source of the recipe stands now, the texts of all candidates, and what the rules say of tables."""
    tables = {source.table for source in settings.recipe(stage) if source.table is not None}
    versions = {table: {"table": table, "version": _version(lake, table)} for table in tables}
    if stage in JUDGED:
        candidates = judgements(lake, stage, settings, sample)
        texts = [judged_texts(lake, sample.batch, candidates.rows)]
    else:
        candidates = conversations(lake, stage, settings, sample)
        texts = [conversation_texts(lake, stage, sample.batch, candidates)]
    left_out.add_all(candidates.left_out)
    described: dict[str, dict[str, Any]] = {}
    for source in settings.recipe(stage):
        if source.table is not None:
            described[source.name] = versions[source.table]
            continue
        allowed = rights(lake, source.name, collect)
        outside = file_rows(source, stage, allowed, settings.max_rows, left_out, sample)
        described[source.name] = {"path": source.path, "files": outside.files}
        texts.append(outside_texts(lake, stage, sample.batch, outside.rows))
    return described, sample.sorted(pl.concat(texts, how="diagonal")), candidates


def _version(lake: Lake, table: str) -> int | None:
    """The table's version now; None before its first row."""
    delta = lake.delta(table)
    return None if delta is None else delta.version()


def _names(sources: Sequence[MixSource]) -> list[str]:
    return [source.name for source in sources]


def _described(part: Part, weight: float | None, where: Mapping[str, Any], total: int) -> dict[str, Any]:
    """Where a part is from, which share it was to have (None: all there is), and what it is."""
    share = part.trained_tokens / total if total else 0.0
    missing = part.wanted_tokens - part.trained_tokens
    return {**where, "weight": weight, **asdict(part), "share": round(share, 4), "missing_tokens": missing}


def _by(rows: pl.DataFrame, column: str) -> dict[str, dict[str, int]]:
    """Rows and trained tokens by the values of a column."""
    sums = rows.group_by(column).agg(pl.len(), pl.col("trained_tokens").sum()).sort(column)
    return {name: {"rows": count, "trained_tokens": tokens} for name, count, tokens in sums.iter_rows()}


def _trained_before(lake: Lake, stage: str, path: str) -> pl.DataFrame:
    """Rows of the table models: a model and its ancestors, as far as they were trained in this stage."""
    model = in_folder(lake, path)
    line = [] if model is None else [one.id for one in ancestors(lake, model)]
    return models(lake).filter(pl.col("id").is_in(line), pl.col("stage") == stage, pl.col("mixture").is_not_null())


def _learned(lake: Lake, mixtures: pl.Series) -> pl.Series:
    """Ids of the rows of some mixtures."""
    rows = lake.read("mixtures").filter(pl.col("batch").is_in(mixtures.implode())).select("id")
    return rows.unique().sort("id").collect()["id"]
