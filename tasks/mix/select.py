"""Which rows may be trained on, and why the others are not: the first rule that applies is the reason."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from configs.quality import SelectSettings
from storage.columns import SCORES
from storage.lake import Lake
from storage.snapshot import digest
from tasks.mix.rules import score_rules
from tasks.mix.spread import limited, spread, user_share

ANSWERS = ("sft", "distill")
"""Stages that learn the last answer of a conversation."""
PROMPTS = ("grpo", "rloo")
"""Stages that answer prompts themselves, and are told how good that was."""
PAIRS = ("dpo", "orpo", "reward")
"""Stages that learn from a better and a worse answer."""
JUDGED = (*PAIRS, "kto")
"""Stages that learn from preferences."""
KEPT = ["id", "batch", "part", "source", "order"]
POOL = 2
"""Rows whose embeddings are compared, as a multiple of those that a mixture takes at most."""


@dataclass(frozen=True)
class Candidates:
    """What the rules say.

    Args:
        rows: id, batch, part (user, synthetic or general), source and order of the rows that passed; sorted by order.
        left_out: `id`, `reason` of the others.
        pool: `id`, `user_hash`, `ruled_out` (by a rule on scores) and scores of every user row that could be learned
            from, were there no such rules; None where rows have no scores.
        notes: why a rule was not applied, by its reason.
    """

    rows: pl.DataFrame
    left_out: pl.DataFrame
    pool: pl.DataFrame | None
    notes: Mapping[str, str] = field(default_factory=dict)


def until(rows: pl.LazyFrame, batch: str) -> pl.LazyFrame:
    """The rows of this batch and of those before it: a batch that is mixed again later gives the same mixture."""
    return rows.filter(pl.col("batch") <= batch + "~")


def conversations(lake: Lake, stage: str, batch: str, settings: SelectSettings, most: int, seed: int) -> Candidates:
    """Curated rows: documents and all of the general set for continued pre-training, else conversations.

    Args:
        lake: where the tables are.
        stage: cpt, or one of ANSWERS or PROMPTS.
        batch: the newest batch that counts.
        settings: the rules.
        most: rows of each part that are taken at most.
        seed: the order follows from it.
    """
    wanted = pl.col("kind") == "conversation"
    if stage == "cpt":
        wanted = (pl.col("kind") == "document") | (pl.col("domain") == "general")
    answers = stage in ANSWERS
    rules = score_rules(settings, answers=answers)
    part = (
        pl.when(pl.col("domain") == "general")
        .then(pl.lit("general"))
        .when(pl.col("origin") == "synthetic")
        .then(pl.lit("synthetic"))
        .otherwise(pl.lit("user"))
    )
    rows = (
        until(lake.read("curated"), batch)
        .filter(wanted, pl.col("split") == "train")
        .select("id", "batch", "source", "language", "domain", *SCORES, part=part)
        .join(_users(lake), on="id", how="left")
        .join(_said(lake, batch), on="id", how="left")
        .with_columns(pl.col("edited", "disliked").fill_null(False))
        .with_columns(reason=_reason(rules, settings, answers=answers), reviewed=pl.col("decision").eq_missing("keep"))
        .with_columns(ruled_out=pl.any_horizontal(rule.fill_null(False) for rule in rules.values()))
        .collect()
    )
    pool = rows.filter(pl.col("part") == "user", pl.col("reason").ne_missing("disliked"))
    ordered = _ordered(rows, seed)
    chosen, notes = spread(_with_vectors(lake, ordered, POOL * most), settings, most, seed)
    return _taken(chosen, most, pool.select("id", "user_hash", "ruled_out", *SCORES), notes)


def judgements(lake: Lake, stage: str, batch: str, settings: SelectSettings, most: int, seed: int) -> Candidates:
    """Preferences: single answers with a label for kto, pairs of answers for the others; the same judgement once.

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
            "target_id",
            source="origin",
            part=pl.lit("user"),
            reviewed=pl.col("origin") == "review",
            reason=pl.when(pl.col("chosen").str.strip_chars().fill_null("") == "")
            .then(pl.lit("no_answer"))
            .when(pl.col("chosen") == pl.col("rejected"))
            .then(pl.lit("no_difference"))
            .when(pl.lit(kind == "label") & (pl.col("label").n_unique().over("prompt", "chosen") > 1))
            .then(pl.lit("contradicted"))
            .when(~same.is_first_distinct())
            .then(pl.lit("repeated")),
        )
        .join(_users(lake).rename({"id": "target_id"}), on="target_id", how="left", maintain_order="left")
        .collect()
    )
    ordered = _ordered(rows, seed)
    return _taken(limited(ordered, "user_share", lambda some: user_share(some, settings, most)), most)


def _users(lake: Lake) -> pl.LazyFrame:
    """Whose conversation is whose: `id`, `user_hash`."""
    return lake.read("interactions").select("id", "user_hash").unique("id")


def _said(lake: Lake, batch: str) -> pl.LazyFrame:
    """What people said of answers: `id`, `edited` (somebody rewrote it), `disliked`, `decision` of the review."""
    said = until(lake.read("preferences"), batch).filter(pl.col("origin") != "review")
    feedback = said.group_by(id="target_id").agg(
        edited=((pl.col("origin") == "edit") & (pl.col("kind") == "pair")).any(),
        disliked=((pl.col("kind") == "label") & ~pl.col("label")).any(),
    )
    decisions = until(lake.read("reviews"), batch).sort("decided_at", "id")
    newest = decisions.group_by(id="target_id").agg(pl.col("decision").last())
    return feedback.join(newest, on="id", how="full", coalesce=True)


def _reason(rules: Mapping[str, pl.Expr], settings: SelectSettings, *, answers: bool) -> pl.Expr:
    """Name of the first rule that leaves a row out, or null. A missing score leaves nothing out.

    An edit replaces the answer, so the scores of the logged one say nothing about it; who reviewed a row knows better
    than any score. What a user disliked stays disliked.
    """
    trusted = pl.col("edited") | pl.col("decision").eq_missing("keep")
    scores = {name: rule & ~trusted for name, rule in rules.items()}
    disliked = pl.col("disliked") & ~pl.col("edited") & pl.lit(answers and settings.drop_thumbs_down)
    every = {
        "rejected_in_review": pl.col("decision") == "drop",
        "disliked": disliked,
        "too_short": (pl.col("chars") < settings.min_chars) & pl.col("decision").ne_missing("keep"),
        **scores,
    }
    return pl.coalesce(*(pl.when(rule).then(pl.lit(name)) for name, rule in every.items()))


def _ordered(rows: pl.DataFrame, seed: int) -> pl.DataFrame:
    """`rows` by a hash of seed and id, which is their `order`: a grown history changes little of a sample."""
    order = pl.Series("order", [digest(str(seed), name) for name in rows["id"]], dtype=pl.String)
    return rows.with_columns(order).sort("order")


def _with_vectors(lake: Lake, rows: pl.DataFrame, most: int) -> pl.DataFrame:
    """`rows` with the `vector` of the first so many of a part that have no reason; all of one embedding model."""
    passed = rows.filter(pl.col("reason").is_null()).filter(pl.int_range(pl.len()).over("part") < most)
    found = lake.read("embeddings").join(passed.lazy().select("id"), on="id", how="semi")
    vectors = found.select("id", "model", "vector").unique("id").collect()
    commonest = vectors["model"].value_counts().sort("count", "model", descending=True)["model"].head(1)
    of_one = vectors.filter(pl.col("model").is_in(commonest.implode())).select("id", "vector")
    return rows.join(of_one, on="id", how="left", maintain_order="left")


def _taken(
    rows: pl.DataFrame, most: int, pool: pl.DataFrame | None = None, notes: Mapping[str, str] | None = None
) -> Candidates:
    """The rows without a reason, in order, and at most so many of each part."""
    passed = rows.filter(pl.col("reason").is_null()).sort("order")
    taken = passed.filter(pl.int_range(pl.len()).over("part") < most)
    beyond = passed.join(taken, on="id", how="anti").select("id", reason=pl.lit("beyond_max_rows"))
    left_out = pl.concat([rows.filter(pl.col("reason").is_not_null()).select("id", "reason"), beyond])
    return Candidates(taken.select(KEPT), left_out, pool, notes or {})
