"""From feedback to preferences: pairs of answers, and labels of single ones."""

import polars as pl

LABELS = ("thumb", "rating")
PAIRS = ("edit", "regenerate", "comparison")
MADE = "preferences"


def preferences(given: pl.DataFrame, answers: pl.DataFrame) -> pl.DataFrame:
    """A preference for each feedback that says one, with `reason`: "preferences", or why it says none.

    A thumb or a rating becomes a label of the answer; a rating counts as liked from 0.5. An edit, a regeneration or a
    comparison becomes a pair; a side that the feedback does not name is the logged answer. Of several labels that one
    user gave one answer, the last counts.

    Args:
        given: see `tasks.prefer.feedback.feedback_of`.
        answers: see `tasks.prefer.feedback.answers`.

    Returns:
        The columns of the table preferences that are not keys of the batch, and `reason`; one row per feedback.
    """
    rows = given.join(answers, on="target_id", how="left")
    is_label, is_pair = pl.col("kind").is_in(LABELS), pl.col("kind").is_in(PAIRS)
    label = pl.when(pl.col("kind") == "thumb").then(pl.col("value") > 0).otherwise(pl.col("value") >= 0.5)
    rows = rows.with_columns(
        origin=pl.col("kind"),
        kind=pl.when(is_label).then(pl.lit("label")).when(is_pair).then(pl.lit("pair")),
        label=pl.when(is_label).then(label),
        chosen=pl.when(is_pair).then(pl.coalesce("preferred", "answer")).otherwise("answer"),
        rejected=pl.when(is_pair).then(pl.coalesce("rejected", "answer")),
        overruled=is_label & _overruled(),
    )
    reason = (
        pl.when(pl.col("kind").is_null())
        .then(pl.lit("only a comment"))
        .when(pl.col("about").is_null())
        .then(pl.lit("waits for its answer"))
        .when(pl.col("answer").is_null())
        .then(pl.lit("not about an answer"))
        .when((pl.col("kind") == "label") & pl.col("label").is_null())
        .then(pl.lit("without a value"))
        .when((pl.col("kind") == "pair") & (pl.col("chosen") == pl.col("rejected")))
        .then(pl.lit("both answers read the same"))
        .when(pl.col("overruled"))
        .then(pl.lit("overruled by the same user"))
        .otherwise(pl.lit(MADE))
    )
    return rows.select(
        "id", "kind", "origin", "split", "prompt", "chosen", "rejected", "label", "model", "target_id", "about",
        reason=reason,
    ).with_columns(target_id=pl.col("about")).drop("about")  # fmt: skip


def _overruled() -> pl.Expr:
    """Whether the same user labelled the same answer again later."""
    place = pl.struct("occurred_at", "id").rank("ordinal", descending=True)
    return (place.over("target_id", "user_hash") > 1) & pl.col("user_hash").is_not_null()
