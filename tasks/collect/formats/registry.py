"""Every form of record by name, and how one is told from another."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tasks.collect.formats import chat, documents, instructions, judgements
from tasks.collect.record import BadRecord, Item, Record


@dataclass(frozen=True)
class Format:
    """A form of record.

    Args:
        matches: whether a record has this form, by its keys alone.
        parse: what the record holds; raises BadRecord with a reason.
    """

    matches: Callable[[Record], bool]
    parse: Callable[[Record], Iterable[Item]]


FORMATS: dict[str, Format] = {
    "openai_log": Format(chat.is_log, chat.parse_log),
    "feedback": Format(judgements.is_feedback, judgements.parse_feedback),
    "kto": Format(chat.is_kto, chat.parse_kto),
    "messages": Format(chat.is_messages, chat.parse_messages),
    "alpaca": Format(instructions.is_alpaca, instructions.parse_alpaca),
    "question_answer": Format(instructions.is_question_answer, instructions.parse_question_answer),
    "document": Format(documents.is_document, documents.parse_document),
}
"""In the order in which they are tried: the more telling keys first."""


def parse(record: Any, name: str) -> list[Item]:
    """What a record holds.

    Args:
        record: a JSON value.
        name: its format; "auto" takes the first one whose keys it has.

    Raises:
        BadRecord: it cannot be used, with the reason.
    """
    if not isinstance(record, dict):
        raise BadRecord("the record is no object")
    if name != "auto":
        return list(FORMATS[name].parse(record))
    for known in FORMATS.values():
        if known.matches(record):
            return list(known.parse(record))
    keys = ", ".join(sorted(map(str, record))[:8])
    raise BadRecord(f"no known format has the keys {keys}" if keys else "the record is empty")
