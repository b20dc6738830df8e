"""Decisions of reviewers become labels: rows of reviews, which override scores, and of preferences, to learn from."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

import polars as pl

from storage.by_id import distinct
from storage.lake import Lake, LakeError
from storage.publish import Books, conform, publish
from storage.snapshot import digest
from tasks.review.formats import ASPECTS, Decision
from tasks.review.rows import newest_batch
from tasks.text.conversation import last_answer, prompt

STEP = "review"


def record(lake: Lake, decisions: Sequence[Decision], reviewer: str) -> Counter[str]:
    """Write decisions into the lake; a newer one of the same reviewer on the same row takes the older one's place.

    They count from the next mixture on, whatever the scores say. Each is a label of its answer as well: kept ones are
    liked, dropped ones disliked. Decisions on rows that are not on the training side are refused.

    Args:
        lake: where the rows are.
        decisions: what was decided.
        reviewer: who decided, where the file does not say.

    Returns:
        How many became what: "keep", "drop", "undecided", "unknown_row", "not_for_training".

    Raises:
        LakeError: nothing was curated yet.
    """
    batch = newest_batch(lake)
    if batch is None:
        raise LakeError(f"Nothing was curated in {lake.uri} yet, so there is nothing to review: `flywheel run` does.")
    given = pl.DataFrame(
        [
            (
                one.id,
                one.decision,
                one.reviewer or reviewer,
                one.decided_at or datetime.now(UTC),
                *map(one.ratings.get, ASPECTS),
            )
            for one in decisions
        ],
        schema={
            "target_id": pl.String,
            "decision": pl.String,
            "reviewer": pl.String,
            "decided_at": pl.Datetime("us", "UTC"),
            **dict.fromkeys(ASPECTS, pl.Int64),
        },
        orient="row",
    )
    rows = lake.read("curated").filter(pl.col("id").is_in(given["target_id"].implode())).select("id", "split")
    sides = dict(distinct(rows, "id").collect().iter_rows())
    outcome = [
        _outcome(decision, sides.get(name)) for name, decision in given.select("target_id", "decision").iter_rows()
    ]
    counts = Counter(outcome)
    made = given.filter(pl.Series(outcome, dtype=pl.String).is_in(["keep", "drop"]))
    _publish(lake, batch, made, Books(len(decisions), dict(counts)))
    return counts


def ratings(lake: Lake) -> dict[str, tuple[float, int]]:
    """What people think of answers: of each aspect that somebody rated, the mean from 1 to 5 and how many rated it."""
    rows = lake.read("reviews").select(ASPECTS).collect()
    means, counts = rows.mean().row(0, named=True), rows.count().row(0, named=True)
    return {name: (means[name], counts[name]) for name in ASPECTS if counts[name]}


def _outcome(decision: str, split: str | None) -> str:
    if split is None:
        return "unknown_row"
    if split != "train":
        return "not_for_training"
    return decision or "undecided"


def _publish(lake: Lake, batch: str, made: pl.DataFrame, books: Books) -> None:
    """The batch's decisions so far with the new ones: the labels first, the table that counts last."""
    ids = [digest("review", target, who) for target, who in made.select("target_id", "reviewer").iter_rows()]
    fresh = conform("reviews", made.with_columns(id=pl.Series(ids, dtype=pl.String)))
    before = lake.read("reviews", batch=batch, step=STEP).collect()
    every = pl.concat([before, fresh]).unique("id", keep="last", maintain_order=True).sort("id").drop("batch", "step")
    curated = lake.read("curated").filter(pl.col("id").is_in(every["target_id"].implode()))
    shown = curated.select(target_id="id", prompt=prompt(), chosen=last_answer(), model="model")
    answered = distinct(shown, "target_id").collect()
    labels = every.join(answered, on="target_id").select(
        "id", "target_id", "prompt", "chosen", "model",
        kind=pl.lit("label"), origin=pl.lit(STEP), split=pl.lit("train"), label=pl.col("decision") == "keep",
    )  # fmt: skip
    key = digest(STEP, every.write_json())
    books.check(STEP)
    publish(lake, "books", books.frame(), step=STEP, batch=batch, key=digest(key, str(books.out)))
    publish(lake, "preferences", labels, step=STEP, batch=batch, key=key)
    publish(lake, "reviews", every, step=STEP, batch=batch, key=key)
