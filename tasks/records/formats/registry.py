"""Every form of record by name, and how one is told from another."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tasks.records.formats import (
    chat,
    documents,
    gateways,
    instructions,
    judgements,
    langfuse,
    open_webui,
    opentelemetry,
    pairs,
)
from tasks.records.record import BadRecord, Item, Record


@dataclass(frozen=True)
class Format:
    """A form of record.

    Args:
        matches: whether a record has this form, by its keys alone.
        parse: what the record holds; raises BadRecord with a reason, or yields it for a part that cannot be used.
    """

    matches: Callable[[Record], bool]
    parse: Callable[[Record], Iterable[Item | BadRecord]]


FORMATS: dict[str, Format] = {
    "openai_log": Format(chat.is_log, chat.parse_log),
    "feedback": Format(judgements.is_feedback, judgements.parse_feedback),
    "opentelemetry": Format(opentelemetry.is_opentelemetry, opentelemetry.parse_opentelemetry),
    "langfuse": Format(langfuse.is_langfuse, langfuse.parse_langfuse),
    "litellm": Format(gateways.is_litellm, gateways.parse_litellm),
    "open_webui": Format(open_webui.is_open_webui, open_webui.parse_open_webui),
    "openpipe": Format(gateways.is_openpipe, gateways.parse_openpipe),
    "preference": Format(pairs.is_preference, pairs.parse_preference),
    "kto": Format(pairs.is_kto, pairs.parse_kto),
    "messages": Format(chat.is_messages, chat.parse_messages),
    "sharegpt": Format(chat.is_sharegpt, chat.parse_sharegpt),
    "alpaca": Format(instructions.is_alpaca, instructions.parse_alpaca),
    "question_answer": Format(instructions.is_question_answer, instructions.parse_question_answer),
    "document": Format(documents.is_document, documents.parse_document),
}
"""In the order in which they are tried: the more telling keys first."""

UNEXPECTED = "the format did not expect such a record"
"""How the reason of a record begins that is a mistake of the format's module, too."""


def parse(record: Any, name: str) -> list[Item | BadRecord]:
    """What a record holds.

    Args:
        record: a JSON value.
        name: its format; "auto" takes the first one whose keys it has.

    Raises:
        BadRecord: nothing in it can be used, with the reason.
    """
    if not isinstance(record, dict):
        raise BadRecord("the record is no object")
    try:
        found = list(_format(record, name).parse(record))
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:  # a record never stops a run
        raise BadRecord(f"{UNEXPECTED}: {type(error).__name__} {error}"[:300]) from error
    if not found:
        raise BadRecord("it holds neither a conversation nor feedback")
    return found


def _format(record: Record, name: str) -> Format:
    if name != "auto":
        return FORMATS[name]
    for known in FORMATS.values():
        if known.matches(record):
            return known
    keys = ", ".join(sorted(map(str, record))[:8])
    raise BadRecord(f"no known format has the keys {keys}" if keys else "the record is empty")
