"""What scrubbing leaves: frames for its tables."""

import json
from collections.abc import Mapping, Sequence

import polars as pl

from storage.tables import TABLES
from tasks.scrub.conversations import Row


def scrubbed_rows(rows: Sequence[Row]) -> pl.DataFrame:
    """Rows for the table `scrubbed`, sorted by id."""
    schema = TABLES["scrubbed"].schema
    columns = [name for name in schema if name not in {"batch", "step"}]
    return pl.DataFrame(rows, schema={name: schema[name] for name in columns}).sort("id")


def quarantine_rows(rows: Sequence[Row], refused: Mapping[str, str]) -> pl.DataFrame:
    """Rows for the table `quarantine`: the conversation as it came, with the reason."""
    frame = [
        {
            "id": row["id"],
            "source": row["source"],
            "reason": f"scrub: {refused[row['id']]}",
            "content": json.dumps({"messages": row["messages"], "tools": row["tools"]}, ensure_ascii=False),
        }
        for row in rows
        if row["id"] in refused
    ]
    return pl.DataFrame(frame, schema=dict.fromkeys(("id", "source", "reason", "content"), pl.String)).sort("id")


def placeholder_rows(rows: Sequence[Mapping[str, str]]) -> pl.DataFrame:
    """Rows for the table `placeholders`, sorted by id."""
    return pl.DataFrame(rows, schema=dict.fromkeys(("id", "conversation", "placeholder"), pl.String)).sort("id")
