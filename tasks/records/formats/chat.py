"""Chats: logs of the OpenAI chat-completions API, and rows with a list of messages or of ShareGPT's turns."""

from collections.abc import Iterable
from typing import Any

from tasks.records.record import (
    BadRecord,
    Conversation,
    Item,
    Message,
    Record,
    answered,
    first,
    json_text,
    kept,
    mapping,
    message,
    messages,
    text,
    time,
    unpacked,
    word,
)


def is_log(record: Record) -> bool:
    return "request" in record and ("response" in record or "workload_id" in record)


def parse_log(record: Record) -> Iterable[Item]:
    """`{timestamp, workload_id, client_id, request{model, messages, tools, user}, response{id, created, choices}}`.

    The user is `request.user`, else `client_id`. Source: https://platform.openai.com/docs/api-reference/chat.
    """
    request = mapping(record.get("request"), "the request")
    response = mapping(record.get("response"), "the response")
    turns = messages(request.get("messages"))
    answer = answer_of(response)
    yield Conversation(
        messages=answered([*turns, answer]),
        native_id=word(response.get("id")),
        occurred_at=time(record.get("timestamp") or response.get("created")),
        conversation=word(record.get("conversation_id") or record.get("session_id")),
        user=word(request.get("user") or request.get("safety_identifier") or record.get("client_id")),
        model=word(response.get("model") or request.get("model")),
        tools=json_text(request.get("tools")),
        metadata={**kept(record, ["workload_id"]), **kept(request, ["metadata"])},
    )


def answer_of(response: Record) -> Message:
    """The first choice of a chat completion.

    Raises:
        BadRecord: there is none.
    """
    choices = response.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise BadRecord("the response has no answer")
    return message(choices[0].get("message"))


def is_messages(record: Record) -> bool:
    return "messages" in record


def parse_messages(record: Record) -> Iterable[Item]:
    """`{messages, tools?, id?, model?, timestamp?, user?, conversation_id?}`, as fine-tuning sets have it."""
    yield conversation(record, answered(messages(listed(record.get("messages")))))


def is_sharegpt(record: Record) -> bool:
    return "conversations" in record


def parse_sharegpt(record: Record) -> Iterable[Item]:
    """`{conversations: [{from, value}], system?, tools?}`."""
    said = listed(record.get("conversations"))
    if not isinstance(said, list):
        raise BadRecord("the conversations are no list")
    yield conversation(record, answered(with_system(record, [said_by(turn) for turn in said])))


def said_by(turn: Any) -> Message:
    """A turn as `{role, content}` or, in ShareGPT's words, `{from, value}`."""
    if isinstance(turn, dict) and "from" in turn:
        return message(turn, "from", "value")
    return message(turn)


def turns_of(value: Any, role: str) -> list[Message]:
    """Turns, one turn, or a text that `role` said; also written as JSON text."""
    value = unpacked(value)
    if isinstance(value, list):
        return [said_by(one) for one in value]
    if isinstance(value, dict):
        return [said_by(value)]
    said = text(value, "the " + role + "'s text")
    return [Message(role, said)] if said else []


def with_system(record: Record, turns: list[Message]) -> list[Message]:
    """Turns, and before them the system prompt that a row has beside them, if they do not begin with it already."""
    said = text(record.get("system"), "the system prompt")
    system = Message("system", said)
    return [system, *turns] if said and turns[:1] != [system] else turns


def conversation(record: Record, turns: Iterable[Message]) -> Conversation:
    """A row's turns with what rows usually say beside them."""
    return Conversation(
        messages=list(turns),
        native_id=word(record.get("id")),
        occurred_at=time(first(record, "timestamp", "created_at", "created")),
        conversation=word(record.get("conversation_id")),
        user=word(first(record, "user", "user_id")),
        model=word(record.get("model")),
        tools=json_text(record.get("tools")),
        metadata=kept(record, ["metadata", "tags"]),
    )


def listed(value: Any) -> Any:
    """A list, also one written as JSON text, as CSV has it."""
    return mapping('{"list": ' + value + "}", "the list of messages")["list"] if isinstance(value, str) else value
