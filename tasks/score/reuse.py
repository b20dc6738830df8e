"""What a model said of a text once, it need not be asked again."""

from collections.abc import Callable

import polars as pl


def reuse(rows: pl.DataFrame, known: pl.DataFrame, work: Callable[[pl.DataFrame], pl.DataFrame]) -> pl.DataFrame:
    """The figures of all rows: known ones as they are, the others by `work`.

    Args:
        rows: `key`, and what `work` reads.
        known: `key` and the figures; columns that `work` does not give are left out.
        work: from some rows to as many rows of figures.

    Returns:
        The figures, in the order of `rows`.
    """
    found = known.unique("key", keep="last", maintain_order=True)
    missing = rows.join(found, on="key", how="anti")
    if missing.height == rows.height:
        return work(rows)
    fresh = work(missing) if missing.height else None
    figures = [name for name in found.columns if name != "key" and (fresh is None or name in fresh.columns)]
    parts = [found.select("key", *figures)]
    if fresh is not None:
        parts.append(fresh.select(missing["key"], *figures).cast(parts[0].schema))
    return rows.select("key").join(pl.concat(parts), on="key", how="left", maintain_order="left").drop("key")
