"""The newest rows of a table that grows for ever: only the batches that hold them are opened."""

import polars as pl

from storage.lake import Lake


def newest(lake: Lake, table: str, most: int, *conditions: pl.Expr) -> pl.LazyFrame:
    """The newest `most` rows that meet the conditions, newest batch first, within it by id downwards.

    To sort the whole table and keep its head would read every text that it has. So batches are counted first, which
    reads the columns of the conditions only, and then just the newest ones that have enough rows are read.

    Args:
        lake: where the table is.
        table: its name.
        most: how many rows at most.
        conditions: on its columns.
    """
    rows = lake.read(table).filter(*conditions)
    sizes = rows.group_by("batch").len().sort("batch", descending=True).collect()
    enough = sizes.filter(pl.col("len").cum_sum() - pl.col("len") < most)
    if enough.is_empty():
        return rows.head(0)
    recent = rows.filter(pl.col("batch") >= enough["batch"].min())
    return recent.sort("batch", "id", descending=True).head(most)
