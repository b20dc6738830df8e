"""What ties rows to each other: conversations and duplicates, also across batches."""

from collections.abc import Sequence

import polars as pl

from storage.by_id import distinct
from storage.lake import Lake
from storage.snapshot import Snapshot


def rows_to_split(lake: Lake, scrubbed: Snapshot, duplicates: Sequence[Snapshot]) -> pl.DataFrame:
    """Every scrubbed conversation or document of a batch, and every duplicate, with its links.

    Returns:
        `id`, `synthetic`, `links`; by id.
    """
    kept = (
        lake.scan(scrubbed)
        .filter(pl.col("origin").is_in(["user", "synthetic"]))
        .select("id", "conversation_id", synthetic=pl.col("origin") == "synthetic")
        .collect()
    )
    repeats = pl.concat([lake.scan(snapshot).select("id", "kept_id") for snapshot in duplicates] or [_NO_REPEATS])
    repeats_now = distinct(repeats, "id").collect()
    others = repeats_now.lazy().join(kept.lazy(), on="id", how="anti")
    rows = pl.concat([kept, _conversations(lake).join(others, on="id", how="semi").collect()]).unique("id")
    links = pl.concat_list(_row("id"), _conversation(), _row("kept_id")).list.drop_nulls()
    return rows.join(repeats_now, on="id", how="left").select("id", "synthetic", links=links).sort("id")


def known_links(lake: Lake, rows: pl.DataFrame) -> pl.DataFrame:
    """The side of each link of `rows` that rows with a side have: `link`, `group`, `split`.

    A link can have two sides when conversations on both sides were left out as bridges.
    """
    wanted = rows.lazy().select(link="links").explode("link").drop_nulls().unique()
    splits = lake.read("splits").select("id", "group", "split")
    conversations = _conversations(lake).select("id", link=_conversation()).join(wanted, on="link", how="semi")
    by_conversation = conversations.join(splits, on="id").select("link", "group", "split")
    by_row = splits.select("group", "split", link=_row("id")).join(wanted, on="link", how="semi")
    return pl.concat([by_conversation, by_row.select("link", "group", "split")]).unique().collect()


def _conversations(lake: Lake) -> pl.LazyFrame:
    """`id`, `conversation_id`, `synthetic` of everything that was ever collected or generated."""
    return pl.concat(
        [
            lake.read(table).select("id", "conversation_id", synthetic=pl.lit(table == "synthetic"))
            for table in ("interactions", "synthetic")
        ]
    )


def _row(column: str) -> pl.Expr:
    return pl.lit("row/") + pl.col(column)


def _conversation() -> pl.Expr:
    return pl.lit("conversation/") + pl.col("conversation_id")


_NO_REPEATS = pl.LazyFrame(schema={"id": pl.String, "kept_id": pl.String})
