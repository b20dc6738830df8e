"""What people said of rows, as far as one batch may know it: edits, dislikes, and decisions in review."""

import polars as pl

from storage.lake import Lake


def until(rows: pl.LazyFrame, batch: str) -> pl.LazyFrame:
    """The rows of this batch and of those before it: a batch that is worked through again later finds the same."""
    return rows.filter(pl.col("batch") <= batch + "~")


def opinions(lake: Lake, batch: str) -> pl.LazyFrame:
    """What was said up to this batch.

    Returns:
        `id`, `edited` (somebody rewrote the answer), `disliked`, `decision` of the newest review: a line for each row
        of which anything was said; columns are null where nothing of their kind was.
    """
    said = until(lake.read("preferences"), batch).filter(pl.col("origin") != "review")
    feedback = said.group_by(id="target_id").agg(
        edited=((pl.col("origin") == "edit") & (pl.col("kind") == "pair")).any(),
        disliked=((pl.col("kind") == "label") & ~pl.col("label")).any(),
    )
    decisions = until(lake.read("reviews"), batch).sort("decided_at", "id")
    newest = decisions.group_by(id="target_id").agg(pl.col("decision").last())
    return feedback.join(newest, on="id", how="full", coalesce=True)
