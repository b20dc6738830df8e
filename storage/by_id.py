"""Rows by their ids. What is carried on after an interruption, or comes up in several batches, is in a table twice."""

import polars as pl

from storage.lake import Lake


def distinct(rows: pl.LazyFrame, *key: str) -> pl.LazyFrame:
    """The first row of each key, in order.

    `LazyFrame.unique` with its defaults groups the rows, which takes ten times as long where they hold messages, and
    leaves to chance which row stays.
    """
    return rows.unique(key, keep="first", maintain_order=True)


def of_ids(lake: Lake, table: str, ids: pl.Series) -> pl.LazyFrame:
    """The rows of a table that have one of these ids, for ids that are mostly of a few batches.

    The texts of a whole table take long to read, and ids are hashes, which lie anywhere. So they are looked up first in
    the columns `id` and `batch` alone, and only files of the batches from the first to the last of them are opened.
    """
    wanted = pl.col("id").is_in(ids.implode())
    first, last = pl.col("batch").min().alias("first"), pl.col("batch").max().alias("last")
    low, high = lake.read(table).filter(wanted).select(first, last).collect().row(0)
    return lake.read(table).filter(pl.col("batch").is_between(pl.lit(low), pl.lit(high)), wanted)
