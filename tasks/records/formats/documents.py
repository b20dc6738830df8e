"""Plain documents for continued pre-training: a file, or a row with a text."""

import re
from collections.abc import Iterable, Iterator

from storage.snapshot import digest
from tasks.records.record import BadRecord, Conversation, Item, Message, Record, first, kept, text, time

MAX_CHARS = 8_000
"""A longer document becomes several rows, cut between paragraphs; one `conversation_id` keeps them together."""


def is_document(record: Record) -> bool:
    return isinstance(first(record, "text", "content"), str)


def parse_document(record: Record) -> Iterable[Item]:
    """`{text}` or `{content}`, with `title`, `url` and `timestamp` if there are."""
    body = text(first(record, "text", "content"), "the text")
    if not body or not body.strip():
        raise BadRecord("the document is empty")
    whole = digest(body)
    for part in parts(body):
        yield Conversation(
            messages=[Message("document", part)],
            occurred_at=time(first(record, "timestamp", "created_at")),
            conversation=whole,
            kind="document",
            metadata=kept(record, ["title", "url", "metadata"]),
        )


def parts(body: str, most: int = MAX_CHARS) -> Iterator[str]:
    """`body` in pieces of at most `most` characters, cut behind a paragraph, a line or a sentence."""
    start = 0
    while len(body) - start > most:
        end = start + _cut(body[start : start + most])
        if part := body[start:end].strip():
            yield part
        start = end
    if part := body[start:].strip():
        yield part


def _cut(text: str) -> int:
    """Where to cut: behind the last paragraph, line or sentence that ends in the later three quarters."""
    for mark in (r"\n\s*\n", r"\n", r"[.!?]\s|[。！？]"):
        ends = [match.end() for match in re.finditer(mark, text) if match.end() > len(text) // 4]
        if ends:
            return ends[-1]
    return len(text)
