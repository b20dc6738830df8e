"""Frames of what was read: the tables `interactions`, `feedback` and `quarantine`."""

import json
from collections.abc import Sequence
from typing import Any

import polars as pl
import pyarrow as pa

from storage.names import Hash
from storage.tables import TABLES
from tasks.collect.history import Restored
from tasks.collect.intake import Judgement, Rejected, Row
from tasks.records.record import Conversation, Message
from tasks.text.conversation import user_text
from tasks.text.language import detect


def interactions(rows: Sequence[Row], hashed: Hash) -> pl.DataFrame:
    """Rows of `interactions`, in order; users only as their keyed hash."""
    found = [row.found for row in rows]
    columns: dict[str, Sequence[Any]] = {
        "id": [row.id for row in rows],
        "source": [row.source.name for row in rows],
        "domain": [row.source.domain for row in rows],
        "conversation_id": [row.conversation_id for row in rows],
        "consent": [row.consent for row in rows],
        "user_hash": [hashed(one.user) for one in found],
        "metadata": [metadata(row) for row in rows],
    }
    return _with_language(_conversations(found, columns))


def restored_interactions(answers: Sequence[Restored], found: Sequence[Conversation]) -> pl.DataFrame:
    """Rows for the answers that late feedback asks for; all but the messages is their conversation's."""
    copied = ("source", "domain", "conversation_id", "consent", "user_hash")
    columns: dict[str, Sequence[Any]] = {name: [answer.parent[name] for answer in answers] for name in copied}
    columns["id"] = [answer.id for answer in answers]
    columns["metadata"] = [json.dumps(dict(one.metadata)) for one in found]
    return _with_language(_conversations(found, columns))


def metadata(row: Row) -> str | None:
    """What is kept beside a conversation, as JSON."""
    values = dict(row.found.metadata)
    if row.superseded:
        values["superseded"] = row.superseded
    if row.also:
        values["also"] = row.also
    return json.dumps(values, ensure_ascii=False, default=str) if values else None


def feedback(judgements: Sequence[Judgement], hashed: Hash) -> pl.DataFrame:
    """Rows of `feedback`."""
    found = [judgement.found for judgement in judgements]
    return _frame(
        "feedback",
        {
            "id": [judgement.id for judgement in judgements],
            "target_id": [judgement.target_id for judgement in judgements],
            "kind": [one.kind for one in found],
            "value": [one.value for one in found],
            "preferred": [one.preferred for one in found],
            "rejected": [one.rejected for one in found],
            "comment": [one.comment for one in found],
            "user_hash": [hashed(one.user) for one in found],
            "occurred_at": [one.occurred_at for one in found],
            "source": [judgement.source.name for judgement in judgements],
        },
    )


def quarantine(rejected: Sequence[Rejected]) -> pl.DataFrame:
    """Rows of `quarantine`."""
    names = ("id", "source", "uri", "position", "reason", "content")
    return _frame("quarantine", {name: [getattr(one, name) for one in rejected] for name in names})


def _conversations(found: Sequence[Conversation], columns: dict[str, Sequence[Any]]) -> pl.DataFrame:
    columns |= {
        "kind": [one.kind for one in found],
        "occurred_at": [one.occurred_at for one in found],
        "model": [one.model for one in found],
        "tools": [one.tools for one in found],
    }
    return _frame("interactions", columns).with_columns(messages=_messages([one.messages for one in found]))


def _messages(conversations: Sequence[Sequence[Message]]) -> pl.Series:
    """list<struct> column, built flat: much faster than from a dict per message."""
    offsets = [0]
    for turns in conversations:
        offsets.append(offsets[-1] + len(turns))
    flat = [turn for turns in conversations for turn in turns]
    parts = [pa.array([turn[place] for turn in flat], pa.large_string()) for place in range(len(Message._fields))]
    struct = pa.StructArray.from_arrays(parts, names=list(Message._fields))
    listed = pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), struct)
    column = pl.from_arrow(listed)
    assert isinstance(column, pl.Series)  # for the type checker: an array gives a series
    return column.cast(TABLES["interactions"].schema["messages"])


def _with_language(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(language=detect(rows.select(user_text().alias("text"))["text"]))


def _frame(table: str, columns: dict[str, Sequence[Any]]) -> pl.DataFrame:
    schema = TABLES[table].schema
    return pl.DataFrame({name: pl.Series(name, values, dtype=schema[name]) for name, values in columns.items()})
