"""Feedback of Open WebUI: a thumb with the chat as it was then, and the answers that it was compared with.

Source: https://docs.openwebui.com/features/evaluation and the feedback export of its admin panel.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tasks.records.formats.judgements import value_of
from tasks.records.record import (
    BadRecord,
    Conversation,
    Feedback,
    Item,
    Message,
    Record,
    answered,
    first,
    mapping,
    message,
    text,
    time,
    word,
)

Tree = Mapping[str, Mapping[str, Any]]


def is_open_webui(record: Record) -> bool:
    return "snapshot" in record and "meta" in record and "data" in record


def parse_open_webui(record: Record) -> Iterable[Item]:
    """`{id, user_id, data{rating, comment, reason}, meta{chat_id, message_id}, snapshot{chat}, created_at}`."""
    data, meta = mapping(record.get("data"), "data"), mapping(record.get("meta"), "meta")
    target = word(meta.get("message_id"))
    if target is None:
        raise BadRecord("the feedback names no message")
    user, when = word(record.get("user_id")), time(first(record, "updated_at", "created_at"))
    tree = _tree(record.get("snapshot"))
    if target in tree:
        yield Conversation(
            messages=answered([*_branch(tree, target)]),
            native_id=target,
            occurred_at=time(tree[target].get("timestamp")),
            conversation=word(meta.get("chat_id")),
            user=user,
            model=word(first(tree[target], "model") or first(meta, "model_id") or data.get("model_id")),
        )
    comment = text(first(data, "comment"), "the comment") or text(data.get("reason"), "the reason")
    if data.get("rating") is None:
        raise BadRecord("the feedback has no rating")
    thumb = value_of("thumb", data.get("rating"))
    yield Feedback("thumb", target, value=thumb, comment=comment or None, user=user, occurred_at=when)
    if thumb == 1 and target in tree:
        chosen = text(tree[target].get("content"), "the answer")
        for rejected in _siblings(tree, target):
            yield Feedback("comparison", target, preferred=chosen, rejected=rejected, user=user, occurred_at=when)


def _tree(snapshot: Any) -> Tree:
    """The messages of a chat by id; the chat lies at different depths in different versions."""
    place = snapshot
    for _ in range(4):
        if not isinstance(place, dict):
            return {}
        history = place.get("history")
        if isinstance(history, dict):
            found = history.get("messages")
            listed = list(found.values()) if isinstance(found, dict) else found
            entries = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
            return {str(one["id"]): one for one in entries if one.get("id")}
        place = place.get("chat")
    return {}


def _branch(tree: Tree, last: str) -> Iterator[Message]:
    """The messages from the first one to `last`."""
    path: list[str] = []
    at: str | None = last
    while at is not None and at in tree and at not in path:
        path.append(at)
        at = word(tree[at].get("parentId"))
    for name in reversed(path):
        yield message(dict(tree[name]))


def _siblings(tree: Tree, target: str) -> Iterator[str]:
    """Other answers to the same question."""
    parent = tree[target].get("parentId")
    for name, entry in sorted(tree.items()):
        other = name != target and entry.get("role") == "assistant" and entry.get("parentId") == parent
        said = entry.get("content")
        if other and isinstance(said, str) and said:
            yield said
