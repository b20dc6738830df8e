"""What a record of any format becomes: conversations and feedback. And the small readers that the formats share."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

Record = Mapping[str, Any]

ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "ai": "assistant",
    "gpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "chatgpt": "assistant",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
    "document": "document",
}
"""What the formats call a speaker, and what we call it."""

KINDS = ("thumb", "rating", "edit", "regenerate", "comparison", "comment")
UNITS = (1e17, 1e9), (1e14, 1e6), (1e11, 1e3)
"""Numbers above the first are in units of one second over the second: nano-, micro- and milliseconds since 1970."""


class BadRecord(Exception):  # noqa: N818 - the record is bad, the program is not
    """A record that cannot be used; the message is the reason that goes to quarantine.

    Args:
        reason: why.
        part: which part of the record, when the rest of it can be used.
    """

    def __init__(self, reason: str, part: Any = None) -> None:
        super().__init__(reason)
        self.part = part


class Message(NamedTuple):
    """One turn. `tool_calls` is the API's list as JSON text."""

    role: str
    content: str | None
    name: str | None = None
    tool_calls: str | None = None
    tool_call_id: str | None = None


@dataclass(slots=True)
class Conversation:
    """What was said, or a document.

    Args:
        messages: all turns, the answer last.
        native_id: the id that the product gave it, which feedback points at; None: its content stands for it.
        aliases: other ids that feedback may point at it by, such as its trace; the newest conversation has an alias.
        conversation: the product's id of the conversation, where it logs one.
        user: who asked, as logged; only its keyed hash is stored.
        metadata: what else is worth keeping.
    """

    messages: Sequence[Message]
    native_id: str | None = None
    occurred_at: datetime | None = None
    conversation: str | None = None
    user: str | None = None
    model: str | None = None
    tools: str | None = None
    kind: str = "conversation"
    aliases: Sequence[str] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Feedback:
    """What somebody thought of an answer.

    Args:
        kind: one of KINDS.
        target: the native id of what it is about; None: the conversation before it in the same record.
        value: thumb: 1 or -1; rating: 0 to 1.
    """

    kind: str
    target: str | None = None
    value: float | None = None
    preferred: str | None = None
    rejected: str | None = None
    comment: str | None = None
    user: str | None = None
    native_id: str | None = None
    occurred_at: datetime | None = None


Item = Conversation | Feedback


def text(value: Any, what: str) -> str | None:
    """A text, a list of parts, or nothing, as text; parts that are no text leave their type in brackets.

    Raises:
        BadRecord: it is something else.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list):
        return "\n".join(part for part in map(_part, value) if part)
    raise BadRecord(f"{what} is {_named(value)}, not text")


def _part(part: Any) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, dict):
        said = part.get("text", part.get("content"))
        if isinstance(said, str):
            return said
        return f"[{part.get('type') or 'part'}]"
    raise BadRecord(f"a part of a content is {_named(part)}")


def word(value: Any) -> str | None:
    """An id or a name: text or a whole number, None when empty."""
    if isinstance(value, str):
        return value or None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def time(value: Any) -> datetime | None:
    """A time as ISO 8601 text or as a number since 1970 in s, ms, us or ns; without a zone it is UTC.

    Raises:
        BadRecord: it is no time.
    """
    if value is None or value == "":
        return None
    try:
        if isinstance(value, str):
            if value.isdigit():
                return time(int(value))
            read = datetime.fromisoformat(value)
            return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
        if isinstance(value, datetime):
            return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value / next((unit for least, unit in UNITS if value > least), 1.0), UTC)
    except (ValueError, OverflowError, OSError):
        pass
    raise BadRecord(f"the timestamp {str(value)[:40]!r} is no time")


def json_text(value: Any) -> str | None:
    """A JSON value as text; text stays, nothing and emptiness become None."""
    if value is None or value in ("", [], {}):
        return None
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def message(value: Any, role_key: str = "role", content_key: str = "content") -> Message:
    """One turn as the APIs write it.

    Raises:
        BadRecord: it is no message, or of an unknown role.
    """
    if not isinstance(value, dict):
        raise BadRecord(f"a message is {_named(value)}")
    said, content = value.get(role_key), value.get(content_key)
    role = ROLES.get(said) if isinstance(said, str) else None
    if role is None:
        raise BadRecord(f"a message has the role {str(said)[:40]!r}")
    if not isinstance(content, str):
        content = text(content, "the content of a message")
    if len(value) == 2:
        return Message(role, content)
    return Message(
        role, content, word(value.get("name")), tool_calls(value.get("tool_calls")), word(value.get("tool_call_id"))
    )


def tool_calls(value: Any) -> str | None:
    """A message's tool calls as the API's JSON text; `arguments` is text there, also where a log has an object.

    Raises:
        BadRecord: it is no list of calls.
    """
    if not value:
        return None
    calls = unpacked(value)
    if not isinstance(calls, list) or not all(isinstance(call, dict) for call in calls):
        raise BadRecord("tool_calls is no list of calls")
    return json.dumps([_call(call) for call in calls], ensure_ascii=False)


def _call(call: dict[str, Any]) -> dict[str, Any]:
    function = call.get("function", call)
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise BadRecord("a tool call names no function")
    arguments = function.get("arguments")
    written = arguments if isinstance(arguments, str) else json.dumps(arguments or {}, ensure_ascii=False)
    return {
        "id": word(call.get("id")),
        "type": "function",
        "function": {"name": function["name"], "arguments": written},
    }


def messages(values: Any, role_key: str = "role", content_key: str = "content") -> list[Message]:
    """Turns as the APIs write them.

    Raises:
        BadRecord: it is no list of messages, or an empty one.
    """
    if not isinstance(values, list):
        raise BadRecord(f"the messages are {_named(values)}, not a list")
    if not values:
        raise BadRecord("there are no messages")
    return [message(value, role_key, content_key) for value in values]


def answered(turns: Sequence[Message]) -> Sequence[Message]:
    """`turns`, which must be a question and end in an answer.

    Raises:
        BadRecord: nobody answered, or nobody asked.
    """
    if not turns:
        raise BadRecord("there are no messages")
    last = turns[-1]
    if last.role != "assistant" or not (last.content or last.tool_calls):
        raise BadRecord("there is no answer")
    if not any(turn.role == "user" for turn in turns):
        raise BadRecord("there is no question")
    return turns


def first(record: Record, *keys: str) -> Any:
    """The first of `keys` that is there and not null."""
    return next((record[key] for key in keys if record.get(key) is not None), None)


def kept(record: Record, keys: Iterable[str]) -> dict[str, Any]:
    """Those of `keys` that are there, as metadata."""
    return {key: record[key] for key in keys if record.get(key) is not None}


def unpacked(value: Any) -> Any:
    """JSON that is written as text, as its value; everything else as it is."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def mapping(value: Any, what: str) -> dict[str, Any]:
    """A JSON object, also one written as text (CSV and Parquet have them so).

    Raises:
        BadRecord: it is something else.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = None
    if not isinstance(value, dict):
        raise BadRecord(f"{what} is {_named(value)}, not an object")
    return value


def _named(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "a boolean", type(None): "missing"}
    return names.get(type(value), "a number")
