"""Rows of preference sets: an answer with a label, or a chosen and a rejected one."""

from collections.abc import Iterable
from typing import Any

from tasks.records.formats.chat import conversation, listed, said_by
from tasks.records.record import BadRecord, Feedback, Item, Message, Record, answered, first, messages, text, unpacked


def is_kto(record: Record) -> bool:
    return "label" in record and ("messages" in record or ("prompt" in record and "completion" in record))


def parse_kto(record: Record) -> Iterable[Item]:
    """`{messages, label}` or `{prompt, completion, label}`: a conversation, and a thumb for its answer."""
    label = record.get("label")
    if not isinstance(label, bool):
        raise BadRecord("the label is neither true nor false")
    if "messages" in record:
        turns = messages(listed(record.get("messages")))
    else:
        turns = [*_turns(record.get("prompt"), "user"), *_turns(record.get("completion"), "assistant")]
    found = conversation(record, answered(turns))
    yield found
    yield Feedback("thumb", value=1.0 if label else -1.0, user=found.user, occurred_at=found.occurred_at)


def is_preference(record: Record) -> bool:
    return "chosen" in record and "rejected" in record


def parse_preference(record: Record) -> Iterable[Item]:
    """`{prompt | messages | conversations, chosen, rejected}`: a conversation with the chosen answer, and a comparison.

    Prompts and answers are texts, messages or lists of messages; a list may repeat the prompt before the answer.
    """
    prompt = _turns(first(record, "messages", "conversations", "prompt", "question", "instruction"), "user")
    chosen, rejected = (_turns(record.get(key), "assistant") for key in ("chosen", "rejected"))
    if not chosen or not rejected:
        raise BadRecord("chosen or rejected is empty")
    turns = chosen if len(chosen) > 1 else [*prompt, *chosen]
    found = conversation(record, answered(turns))
    yield found
    texts = chosen[-1].content, rejected[-1].content
    if not all(texts):
        raise BadRecord("chosen or rejected has no text")
    yield Feedback("comparison", preferred=texts[0], rejected=texts[1], user=found.user, occurred_at=found.occurred_at)


def _turns(value: Any, role: str) -> list[Message]:
    value = unpacked(value)
    if isinstance(value, list):
        return [said_by(one) for one in value]
    if isinstance(value, dict):
        return [said_by(value)]
    said = text(value, "the " + role + "'s text")
    return [Message(role, said)] if said else []
