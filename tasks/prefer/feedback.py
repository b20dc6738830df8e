"""What preferences are made from: feedback with its scrubbed texts, and the answers that it is about."""

import polars as pl

from storage.by_id import distinct, of_ids
from storage.lake import Lake
from storage.snapshot import Snapshot
from tasks.text.conversation import contents, last_answer, prompt


def feedback_of(lake: Lake, scrubbed: Snapshot) -> pl.DataFrame:
    """Feedback of the batch, and earlier feedback on rows that this batch brought.

    Returns:
        `id`, `target_id`, `kind`, `value`, `user_hash`, `occurred_at`, and the scrubbed texts `preferred` and
        `rejected` (null where there is none).
    """
    columns = ["id", "target_id", "kind", "value", "user_hash", "occurred_at"]
    everything = lake.read("feedback").filter(pl.col("batch") <= scrubbed.batch)
    targets = lake.scan(scrubbed).filter(pl.col("origin") != "feedback").select(target_id="id")
    now = everything.filter(pl.col("batch") == scrubbed.batch)
    earlier = everything.filter(pl.col("batch") < scrubbed.batch).join(targets, on="target_id", how="semi")
    given = distinct(pl.concat([now, earlier]).select(columns), "id").collect()
    written = of_ids(lake, "scrubbed", given["id"]).filter(pl.col("origin") == "feedback")
    read = written.select("id", preferred=_text_of("preferred"), rejected=_text_of("rejected"))
    texts = distinct(read, "id").collect()
    return given.join(texts, on="id", how="left").sort("id")


def answers(lake: Lake, given: pl.DataFrame) -> pl.DataFrame:
    """The scrubbed answers that feedback is about.

    Feedback on a duplicate follows the row that was kept, if that one's answer reads the same.

    Returns:
        `target_id` (what the feedback points at), `about` (what it is about), `prompt`, `answer`, `model`, `split`.
    """
    targets = given.lazy().select("target_id").unique()
    repeats = lake.read("duplicates").select("kept_id", target_id="id").join(targets, on="target_id", how="semi")
    kept_of = distinct(repeats, "target_id").collect()
    ids = pl.concat([targets.collect()["target_id"], kept_of["kept_id"]]).unique()
    said = of_ids(lake, "scrubbed", ids).filter(pl.col("origin") != "feedback")
    read = distinct(said.select("id", "model", answer=last_answer(), prompt=prompt()), "id")
    sides = distinct(lake.read("splits").filter(pl.col("id").is_in(ids.implode())).select("id", "split"), "id")
    rows = read.join(sides, on="id").collect()
    kept = rows.select(kept_id="id", kept_answer="answer")
    return (
        rows.rename({"id": "target_id"})
        .join(kept_of, on="target_id", how="left")
        .join(kept, on="kept_id", how="left")
        .with_columns(
            about=pl.when(pl.col("kept_answer") == pl.col("answer"))
            .then(pl.col("kept_id"))
            .otherwise(pl.col("target_id"))
        )
        .drop("kept_id", "kept_answer")
    )


def _text_of(role: str) -> pl.Expr:
    return contents("messages", role).list.first()
