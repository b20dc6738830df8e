"""The texts of a conversation, whatever they lie in: turns, tool calls, tools. JSON is read, not searched."""

import json
from collections.abc import Callable, Mapping
from typing import Any

Visit = Callable[[str, str], str]
"""Takes the name a text goes by ("" for a turn; else a key of JSON) and the text; gives the text to stand there."""


def rewrite(row: Mapping[str, Any], visit: Visit) -> dict[str, Any]:
    """`row` with every text of `messages` and `tools` passed through `visit`, always in the same order.

    JSON stays JSON: strings, keys and numbers of it are visited one by one, and JSON inside of strings as well.
    """
    messages = [_rewrite_message(message, visit) for message in row["messages"] or []]
    return {**row, "messages": messages, "tools": _rewrite_json(row["tools"], visit)}


def _rewrite_message(message: Mapping[str, Any], visit: Visit) -> dict[str, Any]:
    new = dict(message)
    if message["content"]:
        new["content"] = _rewrite_text(message["content"], "", visit)
    if message["name"]:
        new["name"] = visit("name", message["name"])
    if message["tool_call_id"]:
        new["tool_call_id"] = visit("id", message["tool_call_id"])
    new["tool_calls"] = _rewrite_json(message["tool_calls"], visit)
    return new


def _rewrite_json(text: str | None, visit: Visit) -> str | None:
    return _rewrite_text(text, "", visit) if text else text


def _rewrite_text(text: str, name: str, visit: Visit) -> str:
    """A text; where it is JSON, the JSON of its rewritten parts."""
    value = _parsed(text)
    if value is None:
        return visit(name, text)
    new = _rewrite_value(value, name, visit)
    return text if new == value else json.dumps(new, ensure_ascii=False)


def _rewrite_value(value: Any, name: str, visit: Visit) -> Any:
    if isinstance(value, str):
        return _rewrite_text(value, name, visit)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float):
        new = visit(name, str(value))
        return value if new == str(value) else new
    if isinstance(value, list):
        return [_rewrite_value(item, name, visit) for item in value]
    return {visit("", key): _rewrite_value(item, key, visit) for key, item in value.items()}


def _parsed(text: str) -> Any:
    """The object or array that `text` is as JSON, or None."""
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
