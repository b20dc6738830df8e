"""Which rows may be trained on: rules over the scores of curated rows. The first rule that applies is the reason."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from configs.settings import SelectSettings
from storage.lake import Lake
from storage.snapshot import digest

LEAST_FOR_QUANTILES = 50
"""Rows that a language needs before its perplexities have quantiles worth the name."""

KEPT = ["id", "batch", "part", "source", "order"]


@dataclass(frozen=True)
class Candidates:
    """The rows that passed the rules, in the order they are taken, and how many each rule left out.

    Args:
        rows: id, batch, part (user, synthetic or general), source and order; sorted by order.
        dropped: rows that each rule left out.
    """

    rows: pl.DataFrame
    dropped: Mapping[str, int]


def until(rows: pl.LazyFrame, batch: str) -> pl.LazyFrame:
    """The rows of this batch and of those before it: a batch that is mixed again later gives the same mixture."""
    return rows.filter(pl.col("batch") <= batch + "~")


def conversations(lake: Lake, stage: str, batch: str, settings: SelectSettings, most: int, seed: int) -> Candidates:
    """Curated rows for continued pre-training (documents, and all of the general set) or for fine-tuning.

    Args:
        lake: where the tables are.
        stage: cpt or sft.
        batch: the newest batch that counts.
        settings: the rules.
        most: rows of each part that are taken at most.
        seed: the order follows from it.
    """
    wanted = pl.col("kind") == "conversation"
    if stage == "cpt":
        wanted = (pl.col("kind") == "document") | (pl.col("domain") == "general")
    edited, disliked = _feedback(lake, batch)
    rows = (
        until(lake.read("curated"), batch)
        .filter(wanted, pl.col("split") == "train")
        .select(
            "id",
            "batch",
            "source",
            "language",
            "chars",
            "repetition",
            "symbol_share",
            "refusal",
            "perplexity",
            "reward",
            edited=pl.col("id").is_in(edited),
            disliked=pl.col("id").is_in(disliked),
            part=pl.when(pl.col("domain") == "general")
            .then(pl.lit("general"))
            .when(pl.col("origin") == "synthetic")
            .then(pl.lit("synthetic"))
            .otherwise(pl.lit("user")),
        )
        .with_columns(reason=_reason(settings, answers=stage == "sft"))
        .collect()
    )
    return _taken(rows, most, seed)


def judgements(lake: Lake, stage: str, batch: str, most: int, seed: int) -> Candidates:
    """Preferences: pairs of answers for dpo, single answers with a label for kto; the same judgement once.

    Pairs that the model sampled itself (best_of_n) answer prompts of users and are only compared with each other: the
    cap on synthetic text, which is there to be imitated, does not concern them.
    """
    kind, compared = ("label", "label") if stage == "kto" else ("pair", "rejected")
    same = pl.struct("prompt", "chosen", compared)
    rows = (
        until(lake.read("preferences"), batch)
        .filter(pl.col("kind") == kind, pl.col("split") == "train")
        .sort("id")
        .select(
            "id",
            "batch",
            source="origin",
            part=pl.lit("user"),
            reason=pl.when(pl.col("chosen").str.strip_chars().fill_null("") == "")
            .then(pl.lit("no_answer"))
            .when(pl.col("chosen") == pl.col("rejected"))
            .then(pl.lit("no_difference"))
            .when(pl.lit(kind == "label") & (pl.col("label").n_unique().over("prompt", "chosen") > 1))
            .then(pl.lit("contradicted"))
            .when(~same.is_first_distinct())
            .then(pl.lit("repeated")),
        )
        .collect()
    )
    return _taken(rows, most, seed)


def _feedback(lake: Lake, batch: str) -> tuple[list[str], list[str]]:
    """Ids of conversations whose answer somebody rewrote, and of those whose answer somebody disliked."""
    said = until(lake.read("preferences"), batch).select("target_id", "kind", "origin", "label")
    edited = said.filter(pl.col("origin") == "edit", pl.col("kind") == "pair")
    disliked = said.filter(pl.col("kind") == "label", ~pl.col("label"))
    return _targets(edited), _targets(disliked)


def _targets(rows: pl.LazyFrame) -> list[str]:
    return rows.select(pl.col("target_id").unique().sort()).collect()["target_id"].to_list()


def _reason(settings: SelectSettings, *, answers: bool) -> pl.Expr:
    """Name of the first rule that leaves a row out, or null. A missing score leaves nothing out.

    An edit replaces the answer, so the scores of the logged one say nothing about it.
    """
    low, high = settings.perplexity_quantiles
    by_language = pl.col("perplexity").count().over("language") >= LEAST_FOR_QUANTILES
    rules = {
        "repetitive": pl.col("repetition") > settings.max_repetition,
        "symbols": pl.col("symbol_share") > settings.max_symbol_share,
        "perplexity": by_language
        & (
            (pl.col("perplexity") < pl.col("perplexity").quantile(low).over("language"))
            | (pl.col("perplexity") > pl.col("perplexity").quantile(high).over("language"))
        ),
    }
    if answers:
        rules["disliked"] = pl.col("disliked") & settings.drop_thumbs_down
        rules["refusal"] = pl.col("refusal") & settings.drop_refusals
        rules["low_reward"] = pl.col("reward") < settings.min_reward
    scored = {name: rule & ~pl.col("edited") for name, rule in rules.items()}
    all_rules = {"too_short": pl.col("chars") < settings.min_chars, **scored}
    return pl.coalesce(*(pl.when(rule).then(pl.lit(name)) for name, rule in all_rules.items()))


def _taken(rows: pl.DataFrame, most: int, seed: int) -> Candidates:
    """The rows without a reason, ordered by a hash of seed and id: a grown history changes little of a sample."""
    passed = rows.filter(pl.col("reason").is_null())
    order = pl.Series("order", [digest(str(seed), name) for name in passed["id"]], dtype=pl.String)
    ordered = passed.with_columns(order).sort("order")
    taken = ordered.filter(pl.int_range(pl.len()).over("part") < most)
    dropped = dict(rows.filter(pl.col("reason").is_not_null()).group_by("reason").len().sort("reason").iter_rows())
    if ordered.height > taken.height:
        dropped["beyond_max_rows"] = ordered.height - taken.height
    return Candidates(taken.select(KEPT), dropped)
