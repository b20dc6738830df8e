"""Rows of preference sets: an answer with a label, or a chosen and a rejected one."""

from collections.abc import Iterable

from tasks.records.formats.chat import conversation, listed, turns_of, with_system
from tasks.records.formats.instructions import asked
from tasks.records.record import (
    BadRecord,
    Feedback,
    Item,
    Record,
    answered,
    first,
    mapping,
    messages,
)


def is_kto(record: Record) -> bool:
    labelled = "label" in record and ("messages" in record or ("prompt" in record and "completion" in record))
    return labelled or "kto_tag" in record


def parse_kto(record: Record) -> Iterable[Item]:
    """`{messages, label}`, `{prompt, completion, label}` or LLaMA-Factory's rows with a `kto_tag`: a conversation, and
    a thumb for its answer."""
    label = first(record, "label", "kto_tag")
    if not isinstance(label, bool):
        raise BadRecord("the label is neither true nor false")
    if "messages" in record:
        turns = messages(listed(record.get("messages")))
    elif "conversations" in record:
        turns = turns_of(record.get("conversations"), "user")
    elif "instruction" in record:
        turns = [*asked(record), *turns_of(record.get("output"), "assistant")]
    else:
        turns = [*turns_of(record.get("prompt"), "user"), *turns_of(record.get("completion"), "assistant")]
    found = conversation(record, answered(with_system(record, turns)))
    yield found
    yield Feedback("thumb", value=1.0 if label else -1.0, user=found.user, occurred_at=found.occurred_at)


def is_preference(record: Record) -> bool:
    return ("chosen" in record and "rejected" in record) or "preferred_output" in record


def parse_preference(record: Record) -> Iterable[Item]:
    """`{prompt | messages | conversations, chosen, rejected}`, or OpenAI's `{input: {messages}, preferred_output,
    non_preferred_output}`: a conversation with the chosen answer, and a comparison.

    Prompts and answers are texts, messages or lists of messages; a list may repeat the prompt before the answer.
    """
    if "preferred_output" in record:
        asked_for = mapping(record.get("input"), "the input")
        record = {
            **record,
            "messages": asked_for.get("messages"),
            "tools": asked_for.get("tools", record.get("tools")),
            "chosen": record["preferred_output"],
            "rejected": record.get("non_preferred_output"),
        }
    if "instruction" in record:
        prompt = asked(record)
    else:
        prompt = turns_of(first(record, "messages", "conversations", "prompt", "question"), "user")
    chosen, rejected = (turns_of(record.get(key), "assistant") for key in ("chosen", "rejected"))
    if not chosen or not rejected:
        raise BadRecord("chosen or rejected is empty")
    turns = with_system(record, chosen if len(chosen) > 1 else [*prompt, *chosen])
    found = conversation(record, answered(turns))
    yield found
    texts = chosen[-1].content, rejected[-1].content
    if not all(texts):
        raise BadRecord("chosen or rejected has no text")
    yield Feedback("comparison", preferred=texts[0], rejected=texts[1], user=found.user, occurred_at=found.occurred_at)
