"""What earlier batches know: records that are here already, and answers that late feedback is about.

Both look only at the part of `interactions` and `feedback` that the batch's own times reach, so that a night costs
what it brought. A record that is read again has the same time as before.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import polars as pl
from deltalake.exceptions import CommitFailedError

from storage.lake import Lake, LakeError
from storage.publish import ATTEMPTS
from tasks.collect.intake import Judgement, Row, message_content
from tasks.records.record import Conversation, Message

LATE = timedelta(days=90)
"""How long after an answer its feedback may come when the answer is in the middle of a longer conversation."""


@dataclass(frozen=True)
class Restored:
    """An answer in the middle of a conversation that gets a row of its own, because somebody judged it."""

    id: str
    parent: Mapping[str, Any]
    messages: Sequence[Mapping[str, Any]]
    occurred_at: datetime | None
    model: str | None


@dataclass(frozen=True)
class Late:
    """What feedback is about that is about no row of its own batch.

    Args:
        aliases: other names of earlier rows, and their ids.
        restored: answers inside longer conversations of earlier batches, to be made rows of their own.
        missing: targets that are nowhere, or not yet.
    """

    aliases: Mapping[str, str] = field(default_factory=dict)
    restored: Sequence[Restored] = ()
    missing: int = 0


def known(lake: Lake, rows: Sequence[Row], batch: str) -> dict[str, bytes | None]:
    """Rows of earlier batches with the ids of `rows`: id -> hash of its content; None: the content is gone or part.

    Args:
        lake: where the rows are.
        rows: what was read now.
        batch: the batch being made, which is not history.
    """
    times = [row.found.occurred_at for row in rows]
    ids = pl.Series("id", [row.id for row in rows], dtype=pl.String)
    history = _between(lake.read("interactions").filter(pl.col("batch") != batch), times, upper=False)
    here = history.filter(pl.col("id").is_in(ids.implode()))
    found: dict[str, bytes | None] = {}
    if here.select("id").head(1).collect(engine="streaming").height:  # the texts are opened only when there is need
        same = here.select("id", "messages").collect(engine="streaming")
        found = {name: _content(messages) for name, messages in same.iter_rows()}
    wanted = set(ids)
    for name, note in _notes(history):
        if note["id"] in wanted and note["id"] != name:
            found.setdefault(note["id"], None)
    return found


def known_feedback(lake: Lake, feedback: Sequence[Judgement], batch: str) -> set[str]:
    """Those ids of `feedback` that earlier batches have."""
    times = [judgement.found.occurred_at for judgement in feedback]
    ids = pl.Series("id", [judgement.id for judgement in feedback], dtype=pl.String)
    history = _between(lake.read("feedback").filter(pl.col("batch") != batch), times)
    return set(history.filter(pl.col("id").is_in(ids.implode())).select("id").collect(engine="streaming")["id"])


def judged_before(lake: Lake, rows: Sequence[Row], batch: str) -> set[str]:
    """The names of `rows`, ids and others, that feedback of earlier batches points at."""
    names = [name for row in rows for name in (row.id, *row.also)]
    ids = pl.Series("id", names, dtype=pl.String)
    times = [row.found.occurred_at for row in rows]
    history = _between(lake.read("feedback").filter(pl.col("batch") != batch), [*times, None], upper=False)
    found = history.filter(pl.col("target_id").is_in(ids.implode())).select("target_id").collect(engine="streaming")
    return set(found["target_id"])


def point_at(lake: Lake, names: Mapping[str, str]) -> None:
    """Let feedback that came before its answer, and knew it by another name, point at the answer's id.

    Args:
        lake: where the feedback is.
        names: other names of rows that came now, and their ids. Doing it again changes nothing.

    Raises:
        LakeError: other writers kept winning.
    """
    if not names:
        return
    renamed = pl.DataFrame({"name": list(names), "id": list(names.values())})
    for _ in range(ATTEMPTS):
        merge = lake.ensure("feedback").merge(
            renamed, "feedback.target_id = renamed.name", source_alias="renamed", target_alias="feedback"
        )
        try:
            merge.when_matched_update({"target_id": "renamed.id"}).execute()
        except CommitFailedError:
            continue
        return
    raise LakeError(f"Table feedback: {ATTEMPTS} commits in a row were overtaken by other writers; run it again.")


def late_targets(lake: Lake, feedback: Sequence[Judgement], here: Collection[str], batch: str) -> Late:
    """Where the feedback of a batch finds what it is about, if not among the rows of the batch.

    Args:
        lake: where earlier batches are.
        feedback: of this batch.
        here: ids of its rows.
        batch: its id.
    """
    late = [judgement for judgement in feedback if judgement.target_id not in here]
    if not late:
        return Late()
    times = [judgement.found.occurred_at and judgement.found.occurred_at - LATE for judgement in late]
    history = _between(lake.read("interactions").filter(pl.col("batch") != batch), times, upper=False)
    wanted = {judgement.target_id for judgement in late}
    wanted -= set(history.filter(pl.col("id").is_in(list(wanted))).select("id").collect(engine="streaming")["id"])
    notes = _notes(history)
    aliases = {alias: note["id"] for _, note in notes for alias in note.get("also", ()) if alias in wanted}
    found = {note["id"]: (name, note) for name, note in notes}
    named = {aliases.get(name, name) for name in wanted}
    inside = sorted((found[name] for name in named if name in found and found[name][0] != name), key=_note_id)
    parents = history.filter(pl.col("id").is_in([parent for parent, _ in inside])).collect(engine="streaming")
    by_id = {row["id"]: row for row in parents.iter_rows(named=True)}
    restored = [_restored(by_id[parent], note) for parent, note in inside if by_id[parent]["messages"]]
    return Late(aliases, restored, missing=len(named - set(found)))


def _note_id(place: tuple[str, dict[str, Any]]) -> str:
    return str(place[1]["id"])


def _restored(parent: Mapping[str, Any], note: Mapping[str, Any]) -> Restored:
    time = datetime.fromisoformat(note["occurred_at"]) if note["occurred_at"] else None
    return Restored(note["id"], parent, parent["messages"][: note["messages"]], time, note["model"])


def _between(rows: pl.LazyFrame, times: Sequence[datetime | None], *, upper: bool = True) -> pl.LazyFrame:
    """Rows whose time is among `times`: within their range, or null if one of them is."""
    given = [time for time in times if time is not None]
    column = pl.col("occurred_at")
    keep = column.is_null() if len(given) < len(times) else pl.lit(value=False)
    if given:
        keep |= (column >= min(given)) & (column <= max(given)) if upper else column >= min(given)
    return rows.filter(keep)


def _notes(history: pl.LazyFrame) -> list[tuple[str, dict[str, Any]]]:
    """What rows keep about other ids, oldest first: (id of the row, note).

    A note is on a request that the row superseded, or on the row itself, with the other names that it has.
    """
    noted = pl.col("metadata").str.contains('"superseded"|"also"')
    rows = history.filter(noted).select("id", "occurred_at", "metadata").sort("occurred_at", "id")
    found = []
    for name, _, text in rows.collect(engine="streaming").iter_rows():
        kept = json.loads(text)
        found += [(name, note) for note in kept.get("superseded", [])]
        if "also" in kept:
            found.append((name, {"id": name, "also": kept["also"]}))
    return found


def _content(messages: Sequence[Mapping[str, Any]] | None) -> bytes | None:
    if not messages or not any(message["content"] or message["tool_calls"] for message in messages):
        return None
    return message_content([Message(**message) for message in messages])


def conversation_of(answer: Restored) -> Conversation:
    """The part of a conversation that ends in a judged answer."""
    return Conversation(
        messages=[Message(**message) for message in answer.messages],
        occurred_at=answer.occurred_at,
        model=answer.model,
        tools=answer.parent["tools"],
        metadata={"restored_from": answer.parent["id"]},
    )
