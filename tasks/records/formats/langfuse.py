"""Exports of Langfuse: observations, scores, and traces that hold both, in the API's and in the table's spelling.

Source: https://langfuse.com/docs/api-and-data-platform/features/blob-storage-export-fields.
"""

from collections.abc import Iterable
from typing import Any

from tasks.records.formats.judgements import liked, rated
from tasks.records.formats.loose import asked, replied
from tasks.records.record import (
    BadRecord,
    Conversation,
    Feedback,
    Item,
    Record,
    answered,
    first,
    json_text,
    kept,
    text,
    time,
    unpacked,
    word,
)

TYPES = {"GENERATION", "SPAN", "EVENT", "AGENT", "TOOL", "CHAIN", "RETRIEVER", "EVALUATOR", "EMBEDDING", "GUARDRAIL"}
SCORES = {"NUMERIC", "CATEGORICAL", "BOOLEAN", "CORRECTION", "TEXT"}


def is_langfuse(record: Record) -> bool:
    traced = "traceId" in record or "trace_id" in record
    observation = traced and word(record.get("type")) in TYPES
    score = _data_type(record) in SCORES and "name" in record
    return observation or score or isinstance(record.get("observations"), list)


def parse_langfuse(record: Record) -> Iterable[Item | BadRecord]:
    """Generations become conversations, scores become feedback; a score of a trace is about its last generation."""
    if isinstance(record.get("observations"), list):
        yield from _trace(record)
    elif _data_type(record) in SCORES:
        yield _score(record, None)
    else:
        yield _generation(record, {})


def _trace(trace: Record) -> Iterable[Item | BadRecord]:
    scores = trace.get("scores")
    for part in trace["observations"]:
        if not isinstance(part, dict):
            yield BadRecord("an observation is no object", part)
        elif part.get("type") == "GENERATION":
            yield _tried(_generation, part, trace)
    for part in scores if isinstance(scores, list) else []:
        yield _tried(_score, part, trace) if isinstance(part, dict) else BadRecord("a score is no object", part)


def _tried(parse: Any, part: Record, trace: Record) -> Item | BadRecord:
    """One bad part of a trace leaves the others alone."""
    try:
        found: Item = parse(part, trace)
    except BadRecord as bad:
        return BadRecord(str(bad), part)
    return found


def _generation(record: Record, trace: Record) -> Conversation:
    if record.get("type") != "GENERATION":
        raise BadRecord(f"an observation of type {str(record.get('type'))[:40]}: only generations hold an answer")
    trace_id = word(first(record, "traceId", "trace_id") or trace.get("id"))
    asked_for = unpacked(record.get("input"))
    both = {**trace, **{key: value for key, value in record.items() if value is not None}}
    return Conversation(
        messages=answered([*asked(asked_for), replied(record.get("output"))]),
        native_id=word(record.get("id")),
        aliases=[trace_id] if trace_id else [],
        occurred_at=time(first(record, "startTime", "start_time")),
        conversation=word(first(both, "sessionId", "session_id")),
        user=word(first(both, "userId", "user_id")),
        model=word(first(record, "model", "providedModelName", "provided_model_name")),
        tools=json_text(asked_for.get("tools")) if isinstance(asked_for, dict) else None,
        metadata=kept(both, ["metadata", "tags", "environment"]),
    )


def _score(record: Record, trace: Record | None) -> Feedback:
    observation = word(first(record, "observationId", "observation_id"))
    target = observation or word(first(record, "traceId", "trace_id") or (trace or {}).get("id"))
    if target is None:
        raise BadRecord("a score of neither an observation nor a trace")
    kind = _data_type(record)
    number, said = record.get("value"), first(record, "stringValue", "string_value", "longStringValue")
    said = said if said is not None else first(record, "long_string_value", "value")
    comment = text(record.get("comment"), "the comment")
    found = Feedback(
        kind="comment",
        target=target,
        comment=comment,
        user=word(first(record, "authorUserId", "author_user_id")),
        native_id=word(record.get("id")),
        occurred_at=time(record.get("timestamp")),
    )
    if kind == "CORRECTION":
        found.kind, found.preferred = "edit", replied(said).content
        if not found.preferred:
            raise BadRecord("a correction without text")
    elif kind in ("BOOLEAN", "NUMERIC"):
        found.kind, found.value = rated(number, boolean=kind == "BOOLEAN")
    elif kind == "CATEGORICAL" and (thumb := liked(said)) is not None:
        found.kind, found.value = "thumb", thumb
    else:
        found.comment = ": ".join(part for part in (word(record.get("name")), word(said), comment) if part)
    return found


def _data_type(record: Record) -> Any:
    kind = first(record, "dataType", "data_type")
    return kind if isinstance(kind, str) else None
