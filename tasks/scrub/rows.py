"""Which rows are scrubbed: consenting ones that are not duplicates, what feedback points at, and feedback itself."""

from dataclasses import dataclass

import polars as pl

from storage.by_id import distinct, of_ids
from storage.columns import CONVERSATION, MESSAGES
from storage.lake import Lake
from storage.snapshot import Snapshot

COLUMNS = ("id", *CONVERSATION, "origin")
TEXTS = ("preferred", "rejected", "comment")


@dataclass(frozen=True)
class Chosen:
    """What is to be scrubbed, and what is left out of the snapshot.

    Args:
        rows: of the snapshot, with `origin`.
        extra: feedback texts, and earlier interactions that feedback of this batch points at.
        duplicates: rows left out because they repeat another one.
        no_consent: rows left out because they may not be learned from.
    """

    rows: pl.DataFrame
    extra: pl.DataFrame
    duplicates: int
    no_consent: int


def choose(lake: Lake, snapshot: Snapshot, duplicates: Snapshot) -> Chosen:
    """The rows of this batch that are to be scrubbed.

    Duplicates that any feedback points at are scrubbed too: preferences are about what the user saw.
    """
    rows = lake.scan(snapshot).collect()
    consenting = rows.filter(pl.col("consent").fill_null(value=False))
    repeated = lake.scan(duplicates).select("id").collect()["id"]
    about_these = pl.col("target_id").is_in(consenting["id"].implode())
    liked = lake.read("feedback").filter(about_these).select(id="target_id").unique().collect()["id"]
    kept = consenting.filter(~pl.col("id").is_in(repeated.implode()) | pl.col("id").is_in(liked.implode()))
    synthetic = snapshot.table == "synthetic"
    origin = pl.lit("synthetic" if synthetic else "user").alias("origin")
    return Chosen(
        rows=kept.with_columns(origin).select(COLUMNS),
        extra=pl.DataFrame(schema=kept.with_columns(origin).select(COLUMNS).schema)
        if synthetic
        else _extra(lake, snapshot.batch, rows),
        duplicates=consenting.height - kept.height,
        no_consent=rows.height - consenting.height,
    )


def _extra(lake: Lake, batch: str, rows: pl.DataFrame) -> pl.DataFrame:
    """Feedback texts of the batch, and what they point at that is older and was not scrubbed yet."""
    feedback = lake.read("feedback", batch=batch).collect()
    targets = distinct(of_ids(lake, "interactions", feedback["target_id"]), "id").collect()
    scrubbed = (
        lake.read("scrubbed")
        .filter(pl.col("id").is_in(targets["id"].implode()), pl.col("batch") != batch)
        .select("id")
        .collect()["id"]
    )
    older = targets.filter(
        pl.col("consent").fill_null(value=False),
        pl.col("messages").is_not_null(),  # the text of an old row may be gone
        ~pl.col("id").is_in(rows["id"].implode()),
        ~pl.col("id").is_in(scrubbed.implode()),
    ).with_columns(origin=pl.lit("user"))
    return pl.concat([older.select(COLUMNS), _feedback_texts(feedback, targets)])


def _feedback_texts(feedback: pl.DataFrame, targets: pl.DataFrame) -> pl.DataFrame:
    """Feedback as rows of texts, in the conversation and language of what it is about; none where consent is denied."""
    about = targets.select("conversation_id", "language", "domain", "consent", target_id="id")
    return (
        feedback.join(about, on="target_id", how="left")
        .filter(pl.any_horizontal(pl.col(*TEXTS).is_not_null()), pl.col("consent").fill_null(value=True))
        .with_columns(
            messages=pl.concat_list(_message(name) for name in TEXTS).list.drop_nulls().cast(MESSAGES),
            conversation_id=pl.coalesce("conversation_id", "target_id"),
            kind=pl.lit("conversation"),
            language=pl.col("language").fill_null("und"),
            tools=pl.lit(None, dtype=pl.String),
            model=pl.lit(None, dtype=pl.String),
            origin=pl.lit("feedback"),
        )
        .select(COLUMNS)
    )


def _message(name: str) -> pl.Expr:
    empty = pl.lit(None, dtype=pl.String)
    message = pl.struct(role=pl.lit(name), content=pl.col(name), name=empty, tool_calls=empty, tool_call_id=empty)
    return pl.when(pl.col(name).is_not_null()).then(message)
