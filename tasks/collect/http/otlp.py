"""OTLP over HTTP: traces in, answers in the encoding of the request.

Source: https://opentelemetry.io/docs/specs/otlp/#otlphttp.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import orjson
from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tasks.collect.http.body import JSON, Refused, json_value
from tasks.collect.http.check import Checked
from tasks.records.formats.opentelemetry import is_told, spans
from tasks.records.record import BadRecord

PROTOBUF = "application/x-protobuf"


def told_spans(data: bytes, media: str) -> tuple[list[dict[str, Any]], int]:
    """The spans of an export request that tell of a model's answers.

    Args:
        data: the body, unpacked.
        media: its type, which says how it is encoded.

    Returns:
        An export request of its own for each such span, and how many other spans there were.

    Raises:
        Refused: it is no export request (400), or of another type (415).
    """
    if media == PROTOBUF:
        found = list(_of_protobuf(data))
    elif media == JSON:
        found = _of_json(data)
    else:
        raise Refused(415, f"Content-Type is {media[:60]!r}: send {PROTOBUF} or {JSON}.")
    told = [{"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]} for span in found if is_told(span)]
    return told, len(found) - len(told)


def _of_json(data: bytes) -> list[dict[str, Any]]:
    value = json_value(data)
    if not isinstance(value, dict) or "resourceSpans" not in value:
        raise Refused(400, "The body is no export request: it has no resourceSpans.")
    try:
        return list(spans(value))
    except BadRecord as bad:
        raise Refused(400, f"The body is no export request: {bad}.") from bad


def _of_protobuf(data: bytes) -> Iterator[dict[str, Any]]:
    try:
        request = ExportTraceServiceRequest.FromString(data)
    except DecodeError as error:
        raise Refused(400, "The body is no ExportTraceServiceRequest in protobuf.") from error
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            yield from map(_span, scope.spans)


def _span(span: Span) -> dict[str, Any]:
    return {
        "traceId": span.trace_id.hex(),
        "spanId": span.span_id.hex(),
        "name": span.name,
        "startTimeUnixNano": str(span.start_time_unix_nano),
        "attributes": _attributes(span.attributes),
        "events": [
            {
                "name": event.name,
                "timeUnixNano": str(event.time_unix_nano),
                "attributes": _attributes(event.attributes),
            }
            for event in span.events
        ],
    }


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(part) for part in value.array_value.values]
    if kind == "kvlist_value":
        return _attributes(value.kvlist_value.values)
    if kind == "bytes_value":
        return value.bytes_value.hex()
    return None if kind is None else getattr(value, kind)


def answer(checked: Checked, media: str) -> bytes:
    """The response to an export, which says which spans were not taken and why."""
    said = _reasons(checked.rejected)
    if media == JSON:
        partial = {"rejectedSpans": str(checked.refused), "errorMessage": said}
        return orjson.dumps({"partialSuccess": partial} if said else {})
    response = ExportTraceServiceResponse()
    if said:
        partial_success = ExportTracePartialSuccess(rejected_spans=checked.refused, error_message=said)
        response.partial_success.CopyFrom(partial_success)
    return bytes(response.SerializeToString())


def _reasons(rejected: Iterable[tuple[int, str]]) -> str:
    """Each reason once, with how often it occurred."""
    counts = Counter(reason for _, reason in rejected)
    return "; ".join(f"{count} of the spans: {reason}" for reason, count in counts.items())


def error(reason: str, media: str) -> bytes:
    """What went wrong, as the Status that OTLP asks for."""
    return orjson.dumps({"message": reason}) if media == JSON else bytes(Status(message=reason).SerializeToString())
