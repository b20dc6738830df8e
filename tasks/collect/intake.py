"""Reads the pieces of a batch: a record becomes conversations, feedback, or goes to quarantine with its reason."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import orjson

from configs.settings import CollectSettings, Source
from storage.progress import progress
from storage.snapshot import digest
from tasks.collect.plan import Piece
from tasks.records.consent import consent
from tasks.records.containers import Found, container, records
from tasks.records.files import File
from tasks.records.formats.registry import parse
from tasks.records.record import BadRecord, Conversation, Feedback, Message


@dataclass(slots=True)
class Row:
    """A conversation with its place in the lake.

    Args:
        said: hash of source, user and all messages: who continues this conversation has it among their `before`.
        before: such hashes of the conversation up to each earlier answer.
        also: other ids that feedback may point at it by.
        superseded: requests that this one extends: id, number of messages, time and model of each.
    """

    id: str
    source: Source
    found: Conversation
    conversation_id: str
    consent: bool
    said: bytes
    before: Sequence[bytes]
    also: Sequence[str]
    superseded: list[dict[str, Any]] = field(default_factory=list)

    @property
    def content(self) -> bytes:
        """Hash of the messages alone: tells two records with one id apart."""
        return message_content(self.found.messages)


@dataclass(slots=True)
class Judgement:
    """Feedback with the id of the row that it is about."""

    id: str
    target_id: str
    source: Source
    found: Feedback


@dataclass(slots=True)
class Rejected:
    """A record that cannot be used."""

    id: str
    source: str
    uri: str
    position: int
    reason: str
    content: str


@dataclass
class Intake:
    """What was read. A record that holds several things counts once for each."""

    read: int = 0
    rows: list[Row] = field(default_factory=list)
    feedback: list[Judgement] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)


def read(pieces: Sequence[tuple[Piece, File]], settings: CollectSettings) -> Intake:
    """All records of a batch.

    Args:
        pieces: the plan of the batch, each piece with the file that holds it.
        settings: the sources and where consent is found.
    """
    intake = Intake()
    sources = {source.name: source for source in settings.sources}
    for piece, file in progress(pieces, len(pieces), "collect: reading", "files"):
        how = container(file)
        if how is None:  # it was one when it was planned, by its name or its bytes, and these are the same bytes
            continue
        lines_before = cache(partial(_lines_before, file, piece.start))
        for found in records(file, how, piece.start, piece.end):
            try:
                bad = _take(intake, sources[piece.source], found, settings)
            except BadRecord as whole:
                bad = [whole]
            intake.read += len(bad)
            intake.rejected += [_rejected(piece, found, lines_before(), one) for one in bad]
    return intake


def _take(intake: Intake, source: Source, found: Found, settings: CollectSettings) -> list[BadRecord]:
    """Add what a record holds to the intake, and return the parts of it that cannot be used.

    Raises:
        BadRecord: all of it cannot be used; nothing was added.
    """
    rows, judged, bad = understood(source, found.value, settings)
    intake.read += len(rows) + len(judged)
    intake.rows += rows
    intake.feedback += judged
    return bad


def understood(
    source: Source, record: Any, settings: CollectSettings
) -> tuple[list[Row], list[Judgement], list[BadRecord]]:
    """What a record holds: rows, feedback, and the parts of it that cannot be used.

    Raises:
        BadRecord: all of it cannot be used.
    """
    if isinstance(record, BadRecord):
        raise record
    items = parse(record, source.format)
    rows = [_row(source, item, record, settings) for item in items if isinstance(item, Conversation)]
    judged = list(_judgements(source, [item for item in items if isinstance(item, Feedback)], rows))
    return rows, judged, [item for item in items if isinstance(item, BadRecord)]


def _row(source: Source, found: Conversation, record: Mapping[str, Any], settings: CollectSettings) -> Row:
    said = hashlib.blake2b(f"{source.name}\x1e{found.user or ''}\x1d".encode(), digest_size=16)
    answers: list[bytes] = []
    for turn in found.messages:
        said.update(_packed(turn))
        if turn.role == "assistant":
            answers.append(said.digest())
    whole = said.digest()
    if found.native_id is not None:
        name = digest(source.name, found.native_id)
    else:
        name = digest(source.name, whole, str(found.occurred_at or ""))
    if found.conversation is not None:
        conversation_id = digest(source.name, "conversation", found.conversation)
    else:
        conversation_id = (answers[0] if answers else whole).hex()
    allowed = consent(found, record, settings.consent_field)
    return Row(
        id=name,
        source=source,
        found=found,
        conversation_id=conversation_id,
        consent=settings.default_consent if allowed is None else allowed,
        said=whole,
        before=[answer for answer in answers if answer != whole],
        also=[digest(source.name, alias) for alias in found.aliases] if found.aliases else (),
    )


def _packed(turn: Message) -> bytes:
    return "\x1e".join(
        (turn.role, turn.content or "", turn.name or "", turn.tool_calls or "", turn.tool_call_id or "", "\x1d")
    ).encode("utf-8", "surrogatepass")


def message_content(turns: Sequence[Message]) -> bytes:
    """Hash of what was said, whoever said it and wherever it was logged."""
    return hashlib.blake2b(b"".join(map(_packed, turns)), digest_size=16).digest()


def _judgements(source: Source, found: Sequence[Feedback], rows: Sequence[Row]) -> Iterator[Judgement]:
    for item in found:
        if item.target is not None:
            target_id = digest(source.about or source.name, item.target)
        elif rows:
            target_id = rows[-1].id
        else:
            raise BadRecord("the feedback does not say what it is about")
        said = (item.kind, item.value, item.preferred, item.rejected, item.comment, item.user, item.occurred_at)
        name = item.native_id or digest(target_id, *(str(part) for part in said))
        yield Judgement(digest(source.name, "feedback", name), target_id, source, item)


def _rejected(piece: Piece, found: Found, lines_before: int, bad: BadRecord) -> Rejected:
    if bad.part is not None:
        raw = orjson.dumps(bad.part, default=str)
    elif found.raw or isinstance(found.value, BadRecord):
        raw = found.raw
    else:
        raw = orjson.dumps(found.value, default=str)
    return Rejected(
        id=digest(piece.source, piece.uri, str(piece.start), str(found.position), raw, str(bad)),
        source=piece.source,
        uri=piece.uri,
        position=lines_before + found.position,
        reason=str(bad),
        content=raw.decode("utf-8", "replace"),
    )


def _lines_before(file: File, start: int) -> int:
    """Lines before a byte: only counted when a record of a later piece is bad."""
    step = 1 << 24
    return sum(file.read(at, min(at + step, start)).count(b"\n") for at in range(0, start, step))
