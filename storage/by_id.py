"""Rows by their ids. What is carried on after an interruption, or comes up in several batches, is in a table twice."""

import polars as pl

from storage.lake import Lake
from storage.tables import TABLES


def distinct(rows: pl.LazyFrame, *key: str) -> pl.LazyFrame:
    """The first row of each key, in order.

    `LazyFrame.unique` with its defaults groups the rows, which takes ten times as long where they hold messages, and
    leaves to chance which row stays.
    """
    return rows.unique(key, keep="first", maintain_order=True)


def of_ids(lake: Lake, table: str, ids: pl.Series) -> pl.LazyFrame:
    """The rows of a table that have one of these ids, for ids that are mostly of a few batches.

    The texts of a whole table take long to read, and ids are hashes, which lie anywhere. So they are looked up first in
    the columns that say where a row is, and of each partition only the batches from the first to the last are opened.
    """
    if ids.is_empty():
        return pl.LazyFrame(schema=TABLES[table].schema)
    wanted, partitions = pl.col("id").is_in(ids.implode()), TABLES[table].partitions
    first, last = pl.col("batch").min().alias("first"), pl.col("batch").max().alias("last")
    places = lake.read(table).filter(wanted).group_by(partitions or pl.lit(0)).agg(first, last).sort(pl.all()).collect()
    parts = [
        lake.read(table).filter(
            *(pl.col(name).eq_missing(pl.lit(place[name])) for name in partitions),
            pl.col("batch").is_between(pl.lit(place["first"]), pl.lit(place["last"])),
            wanted,
        )
        for place in places.iter_rows(named=True)
    ]
    return pl.concat(parts) if parts else pl.LazyFrame(schema=TABLES[table].schema)
