"""Rules over the scores of a row, each an expression that says whether it is left out. A missing score passes.

What is trained on and what is tested on must pass the same rules: answers that nobody should learn from prove nothing.
"""

from collections.abc import Mapping

import polars as pl

from configs.quality import Quantiles, SelectSettings
from storage.lake import Lake
from storage.opinions import opinions

LEAST_FOR_QUANTILES = 50
"""Rows that a slice needs before its scores have quantiles worth the name."""

LOW_IS_BETTER = ("repetition", "symbol_share", "perplexity", "answer_loss", "toxicity")


def score_rules(settings: SelectSettings, *, answers: bool) -> Mapping[str, pl.Expr]:
    """The rules by the reason that they give, in the order in which they are tried.

    Args:
        settings: their thresholds.
        answers: whether the answer is what is trained on.
    """
    rules = {
        "repetitive": pl.col("repetition") > settings.max_repetition,
        "symbols": pl.col("symbol_share") > settings.max_symbol_share,
        "toxic": pl.col("toxicity") > settings.max_toxicity,
        "perplexity": _outside(
            Quantiles(score="perplexity", low=settings.perplexity_quantiles[0], high=settings.perplexity_quantiles[1])
        ),
    }
    if answers:
        rules["refusal"] = pl.col("refusal") & settings.drop_refusals
        rules["low_reward"] = pl.col("reward") < settings.min_reward
    for limit in settings.thresholds:
        value = pl.col(limit.score)
        below = value < limit.least if limit.least is not None else pl.lit(False)
        above = value > limit.most if limit.most is not None else pl.lit(False)
        rules[f"{limit.score}_threshold"] = rules.get(f"{limit.score}_threshold", pl.lit(False)) | below | above
    return rules | {f"{limits.score}_quantiles": _outside(limits) for limits in settings.quantiles}


def with_reason(lake: Lake, rows: pl.LazyFrame, batch: str, settings: SelectSettings, *, answers: bool) -> pl.LazyFrame:
    """`rows` with what people said of them (see `storage.opinions`), and a `reason` for those that mixing leaves out.

    Args:
        lake: where the opinions are.
        rows: `id`, the scores, and the columns that slices go by; quantiles are those of all these rows.
        batch: the newest one that counts.
        settings: the rules.
        answers: whether the answer is what is trained on.
    """
    rules = score_rules(settings, answers=answers)
    said = rows.join(opinions(lake, batch), on="id", how="left")
    return said.with_columns(reason=first_rule(rules, settings, answers=answers))


def first_rule(rules: Mapping[str, pl.Expr], settings: SelectSettings, *, answers: bool) -> pl.Expr:
    """Name of the first rule that leaves a row out, or null. A missing score leaves nothing out.

    An edit replaces the answer, so the scores of the logged one say nothing about it; who reviewed a row knows better
    than any score. What a user disliked stays disliked.

    Args:
        rules: on scores, see `score_rules`.
        settings: the other rules.
        answers: whether the answer is what is trained on.

    Returns:
        An expression over scores and the columns of `storage.opinions`.
    """
    edited = pl.col("edited").fill_null(False)
    trusted = edited | pl.col("decision").eq_missing("keep")
    scores = {name: rule & ~trusted for name, rule in rules.items()}
    every = {
        "rejected_in_review": pl.col("decision") == "drop",
        "disliked": pl.col("disliked") & ~edited & pl.lit(answers and settings.drop_thumbs_down),
        "too_short": (pl.col("chars") < settings.min_chars) & pl.col("decision").ne_missing("keep"),
        **scores,
    }
    return pl.coalesce(*(pl.when(rule).then(pl.lit(name)) for name, rule in every.items()))


def better_first(score: str) -> pl.Expr:
    """A key to sort by, descending: the best rows first, those without this score last."""
    value = -pl.col(score) if score in LOW_IS_BETTER else pl.col(score)
    return value.cast(pl.Float64).fill_null(float("-inf"))


def _outside(limits: Quantiles) -> pl.Expr:
    """Whether a score lies outside the quantiles of its slice."""
    value, slices = pl.col(limits.score), [] if limits.slice == "none" else [limits.slice]
    over = [*slices, pl.lit(1)]
    enough = value.count().over(over) >= LEAST_FOR_QUANTILES
    low, high = value.quantile(limits.low).over(over), value.quantile(limits.high).over(over)
    return enough & ((value < low) | (value > high))
