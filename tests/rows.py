"""Rows of plain dicts into a lake, as a step before would have written them."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from storage.lake import Lake
from storage.publish import publish
from storage.snapshot import Snapshot, digest
from storage.tables import TABLES


def write(lake: Lake, table: str, batch: str, rows: Sequence[Mapping[str, Any]], step: str = "test") -> Snapshot:
    """Publish `rows`, which all have the first one's columns; the rest of the table's columns are null."""
    columns = rows[0] if rows else ("id",)
    frame = pl.DataFrame(rows, schema={name: TABLES[table].schema[name] for name in columns})
    return publish(lake, table, frame, step=step, batch=batch, key=digest(table, batch, str(rows)))
