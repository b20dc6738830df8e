"""Logs of gateways: OpenPipe's request export and LiteLLM's standard logging payload."""

from collections.abc import Iterable

from tasks.records.formats.loose import asked, replied
from tasks.records.record import (
    BadRecord,
    Conversation,
    Item,
    Record,
    answered,
    first,
    json_text,
    kept,
    time,
    unpacked,
    word,
)

REDACTED = "redacted-by-litellm"


def is_openpipe(record: Record) -> bool:
    return isinstance(unpacked(record.get("input")), dict) and "output" in record


def parse_openpipe(record: Record) -> Iterable[Item]:
    """`{input: a chat request, output: its completion, tags}`.

    Source: https://docs.openpipe.ai/features/request-logs/exporting-logs.
    """
    request, response = unpacked(record.get("input")), unpacked(record.get("output"))
    request = request if isinstance(request, dict) else {}
    described = response if isinstance(response, dict) else {}
    turns = [*asked(request), replied(response)]
    yield Conversation(
        messages=answered(turns),
        native_id=word(described.get("id")),
        occurred_at=time(first(record, "timestamp", "requestedAt", "createdAt") or described.get("created")),
        user=word(request.get("user")),
        model=word(described.get("model") or request.get("model")),
        tools=json_text(request.get("tools")),
        metadata=kept(record, ["tags", "metadata"]),
    )


def is_litellm(record: Record) -> bool:
    return "standard_logging_object" in record or ("call_type" in record and "status" in record)


def parse_litellm(record: Record) -> Iterable[Item]:
    """StandardLoggingPayload, of successful calls whose messages were not redacted.

    Source: https://docs.litellm.ai/docs/proxy/logging_spec.
    """
    payload = unpacked(record.get("standard_logging_object", record))
    if not isinstance(payload, dict):
        raise BadRecord("the logging payload is no object")
    if payload.get("status") != "success":
        raise BadRecord(f"the call did not succeed: its status is {str(payload.get('status'))[:40]}")
    turns = [*asked(payload.get("messages")), replied(payload.get("response"))]
    if any(turn.content == REDACTED for turn in turns):
        raise BadRecord("the texts were redacted by LiteLLM (turn_off_message_logging)")
    metadata, parameters = (unpacked(payload.get(key)) for key in ("metadata", "model_parameters"))
    metadata = metadata if isinstance(metadata, dict) else {}
    user = first(metadata, "user_api_key_end_user_id", "user_api_key_user_id")
    yield Conversation(
        messages=answered(turns),
        native_id=word(payload.get("id")),
        occurred_at=time(payload.get("startTime")),
        user=word(payload.get("end_user") or user),
        model=word(payload.get("model")),
        tools=json_text(parameters.get("tools")) if isinstance(parameters, dict) else None,
        metadata={
            **kept(payload, ["request_tags"]),
            **kept(metadata, ["requester_metadata", "consent"]),
        },
    )
