"""OTLP JSON with the GenAI semantic conventions: spans and events of model calls, and evaluation results.

Source: https://opentelemetry.io/docs/specs/semconv/gen-ai/ (spans, events, gen-ai-input-messages.json).
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tasks.records.formats.judgements import liked, rated
from tasks.records.record import (
    ROLES,
    BadRecord,
    Conversation,
    Feedback,
    Item,
    Message,
    Record,
    answered,
    first,
    json_text,
    kept,
    text,
    time,
    tool_calls,
    unpacked,
    word,
)

GEN_AI = "gen_ai."
EVALUATION = "gen_ai.evaluation.result"
INNER = {"invoke_agent", "create_agent", "execute_tool", "invoke_workflow", "embeddings"}
"""Operations that hold no answer of a model, or only repeat those of the spans inside them."""


def is_opentelemetry(record: Record) -> bool:
    return "resourceSpans" in record or "resourceLogs" in record


def parse_opentelemetry(record: Record) -> Iterable[Item | BadRecord]:
    """An export request, as the collector's file exporter writes it: one a line."""
    for span in _entries(record, "resourceSpans", "scopeSpans", "spans"):
        attributes = _attributes(span)
        yield from _tried(_operation, span, attributes)
        for event in _listed(span.get("events"), "the list of events"):
            if isinstance(event, dict) and event.get("name") == EVALUATION:
                place = {"traceId": span.get("traceId"), "spanId": span.get("spanId"), **event}
                yield from _tried(_evaluation, place, _attributes(event))
    for entry in _entries(record, "resourceLogs", "scopeLogs", "logRecords"):
        attributes = _attributes(entry)
        name = entry.get("eventName") or attributes.get("event.name")
        yield from _tried(_evaluation if name == EVALUATION else _operation, entry, attributes)


def spans(record: Record) -> Iterator[dict[str, Any]]:
    """All spans of an export request.

    Raises:
        BadRecord: it is none.
    """
    return _entries(record, "resourceSpans", "scopeSpans", "spans")


def is_told(span: Record) -> bool:
    """Whether a span may hold an answer of a model or an evaluation; most spans of an application do not."""
    attributes = _attributes(span)
    if word(attributes.get("gen_ai.operation.name")) not in INNER and any(key.startswith(GEN_AI) for key in attributes):
        return True
    events = span.get("events")
    return isinstance(events, list) and any(
        isinstance(event, dict) and event.get("name") == EVALUATION for event in events
    )


def _entries(record: Record, *path: str) -> Iterator[dict[str, Any]]:
    found: list[Any] = [record]
    for key in path:
        found = [below for one in found if isinstance(one, dict) for below in _listed(one.get(key), key)]
    yield from (one for one in found if isinstance(one, dict))


def _listed(value: Any, key: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise BadRecord(f"{key} is no list")
    return value


def _tried(parse: Any, entry: Record, attributes: Mapping[str, Any]) -> Iterator[Item | BadRecord]:
    """One bad span leaves the others of its export alone."""
    try:
        yield from parse(entry, attributes)
    except BadRecord as bad:
        yield BadRecord(str(bad), entry)


def _operation(span: Record, attributes: Mapping[str, Any]) -> Iterator[Item]:
    operation = word(attributes.get("gen_ai.operation.name"))
    if operation in INNER or not any(key.startswith(GEN_AI) for key in attributes):
        return
    asked = _messages(attributes.get("gen_ai.input.messages"))
    answers = _messages(attributes.get("gen_ai.output.messages"))
    if not asked and not answers:
        raise BadRecord("a model call without its messages: the application does not capture content")
    system = _parts(unpacked(attributes.get("gen_ai.system_instructions")))
    turns = [*(Message("system", said) for said in [system] if said), *asked, *answers[:1]]
    place = _place(span)
    yield Conversation(
        messages=answered(turns),
        native_id=word(attributes.get("gen_ai.response.id")) or place,
        aliases=[place] if place and attributes.get("gen_ai.response.id") else [],
        occurred_at=time(first(span, "startTimeUnixNano", "timeUnixNano", "observedTimeUnixNano")),
        conversation=word(attributes.get("gen_ai.conversation.id")),
        user=word(first(attributes, "user.id", "enduser.id")),
        model=word(first(attributes, "gen_ai.response.model", "gen_ai.request.model")),
        tools=json_text(attributes.get("gen_ai.tool.definitions")),
        metadata={key: value for key, value in attributes.items() if not key.startswith(GEN_AI)}
        | kept(attributes, ["gen_ai.provider.name"]),
    )


def _evaluation(event: Record, attributes: Mapping[str, Any]) -> Iterator[Item]:
    label, score = attributes.get("gen_ai.evaluation.score.label"), attributes.get("gen_ai.evaluation.score.value")
    found = Feedback(
        kind="comment",
        target=word(attributes.get("gen_ai.response.id")) or _place(event),
        comment=text(attributes.get("gen_ai.evaluation.explanation"), "the explanation"),
        user=word(first(attributes, "user.id", "enduser.id")),
        occurred_at=time(first(event, "timeUnixNano", "observedTimeUnixNano")),
    )
    if found.target is None:
        raise BadRecord("an evaluation of neither a response nor a span")
    if score is not None:
        found.kind, found.value = rated(score)
    elif (thumb := liked(label)) is not None:
        found.kind, found.value = "thumb", thumb
    elif not found.comment:
        raise BadRecord("an evaluation that says nothing")
    yield found


def _place(entry: Record) -> str | None:
    trace, span = word(entry.get("traceId")), word(entry.get("spanId"))
    return f"{trace}/{span}" if trace and span else None


def _messages(value: Any) -> list[Message]:
    """Messages with parts: a tool's responses become messages of their own, reasoning is left out."""
    found: list[Message] = []
    for entry in _listed(unpacked(value), "the list of messages"):
        if not isinstance(entry, dict):
            raise BadRecord("a message is no object")
        role = ROLES.get(str(entry.get("role")).lower())  # LangChain's instrumentation says Human and AI
        if role is None:
            raise BadRecord(f"a message has the role {str(entry.get('role'))[:40]!r}")
        parts = [part for part in _listed(entry.get("parts"), "the list of parts") if isinstance(part, dict)]
        responses = [part for part in parts if part.get("type") == "tool_call_response"]
        calls = [part for part in parts if part.get("type") == "tool_call"]
        said = _parts(parts) or text(entry.get("content"), "a content")
        if said or calls or not responses:
            found.append(Message(role, said, word(entry.get("name")), tool_calls(calls)))
        for part in responses:
            response = first(part, "response", "result")
            found.append(Message("tool", json_text(response), tool_call_id=word(part.get("id"))))
    return found


def _parts(parts: Any) -> str | None:
    """The text of text parts; other media leave their type in brackets."""
    if not isinstance(parts, list):
        return parts if isinstance(parts, str) else None
    silent = ("tool_call", "tool_call_response", "reasoning")
    shown = [part for part in parts if not (isinstance(part, dict) and part.get("type") in silent)]
    return text(shown, "the parts") or None


def _attributes(entry: Record) -> dict[str, Any]:
    attributes = entry.get("attributes")
    if isinstance(attributes, dict):
        return attributes
    pairs = attributes if isinstance(attributes, list) else []
    return {str(pair["key"]): _value(pair.get("value")) for pair in pairs if isinstance(pair, dict) and "key" in pair}


def _value(value: Any) -> Any:
    """An AnyValue of OTLP as a JSON value."""
    if not isinstance(value, dict):
        return value
    if "arrayValue" in value:
        listed = value["arrayValue"]
        return [_value(part) for part in (listed.get("values") or [] if isinstance(listed, dict) else [])]
    if "kvlistValue" in value:
        pairs = value["kvlistValue"]
        return _attributes({"attributes": pairs.get("values") if isinstance(pairs, dict) else None})
    if "intValue" in value:  # a 64-bit number is text in JSON
        written = str(value["intValue"])
        return int(written) if written.lstrip("-").isdigit() else written
    return first(value, "stringValue", "boolValue", "doubleValue")
