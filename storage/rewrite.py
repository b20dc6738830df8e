"""Changing rows that are published: batch by batch, each in one atomic commit, beside other writers.

The commits name a batch and never a row: Delta keeps the condition of a deletion in its log, where nothing can be
erased.
"""

from collections.abc import Callable, Iterable

import polars as pl
from deltalake import write_deltalake
from deltalake.exceptions import CommitFailedError

from storage.lake import Lake, LakeError
from storage.publish import ATTEMPTS, conform, quoted, writing
from storage.tables import TABLES

Change = Callable[[pl.DataFrame], pl.DataFrame]


def rewrite(lake: Lake, table: str, batches: Iterable[str], change: Change) -> int:
    """Replace the rows of some batches by what `change` makes of them; a batch that stays the same is not written.

    What was published stays published: the steps are not done again.

    Args:
        lake: where the table is.
        table: its name.
        batches: whose rows.
        change: from a batch's rows, with all columns, to those that stay.

    Returns:
        How many rows fewer there are.

    Raises:
        LakeError: other writers kept winning.
    """
    return sum(_rewrite(lake, table, batch, change) for batch in sorted(batches))


def drop(lake: Lake, table: str, condition: pl.Expr) -> int:
    """Remove the rows for which `condition` holds, and say how many they were."""
    holds = condition.fill_null(value=False)
    batches = lake.read(table).filter(holds).select(pl.col("batch").unique()).collect(engine="streaming")["batch"]
    return rewrite(lake, table, batches, lambda rows: rows.filter(~holds))


def named(table: str, names: Iterable[str]) -> pl.Expr:
    """Whether a row comes from one of `names`: see `storage.tables.Table.about`."""
    wanted = pl.Series(sorted(names), dtype=pl.String).implode()
    schema = TABLES[table].schema
    parts = [
        pl.col(column).list.eval(pl.element().is_in(wanted)).list.any()
        if isinstance(schema[column], pl.List)
        else pl.col(column).is_in(wanted)
        for column in TABLES[table].about
    ]
    return pl.any_horizontal(part.fill_null(value=False) for part in parts)


def _rewrite(lake: Lake, table: str, batch: str, change: Change) -> int:
    for _ in range(ATTEMPTS):
        delta = lake.ensure(table)
        before = lake.read(table, batch=batch, version=delta.version()).collect()
        after = change(before)
        if after.equals(before):
            return 0
        try:
            where = f"batch = '{quoted(batch)}'"
            rows = conform(table, after)
            write_deltalake(delta, rows, mode="overwrite", predicate=where, writer_properties=writing(delta))
        except CommitFailedError:  # somebody else committed first: look again
            continue
        return before.height - after.height
    raise LakeError(f"Table {table}: {ATTEMPTS} commits in a row were overtaken by other writers; run it again.")
