"""A batch from its plan to rows: read, assemble, leave out what is here already, make frames and books."""

import hashlib
from collections.abc import Sequence
from functools import cache

import polars as pl

from configs.settings import CollectSettings
from storage.lake import Lake
from storage.publish import Books, StepOutput
from storage.snapshot import digest
from tasks.collect import rows as frames
from tasks.collect.assemble import superseded
from tasks.collect.files import File
from tasks.collect.history import conversation_of, known, known_feedback, restored
from tasks.collect.intake import Intake, Rejected, Row, read
from tasks.collect.plan import Piece

Pieces = Sequence[tuple[Piece, File]]


def collect_batch(
    lake: Lake, batch: str, pieces: Sequence[tuple[Piece, File]], settings: CollectSettings
) -> StepOutput:
    """What the bytes of a batch hold that is not in the lake yet.

    Args:
        lake: where earlier batches are.
        batch: the batch being made.
        pieces: its plan, each piece with the file that holds it.
        settings: sources and consent.
    """
    intake = read(pieces, settings)
    unique, repeated = _once(intake)
    left_out = superseded(unique, {judgement.target_id for judgement in intake.feedback})
    unique = [row for row in unique if row.id not in left_out]
    new = _unknown(intake, unique, known(lake, unique, batch))
    repeated += len(unique) - len(new[0]) - new[1]
    judged = list({judgement.id: judgement for judgement in intake.feedback}.values())
    here = known_feedback(lake, judged, batch)
    judged = [judgement for judgement in judged if judgement.id not in here]
    answers = restored(lake, judged, {row.id for row in unique}, batch)
    hashed = user_hash(lake.secret())
    main = frames.interactions(new[0], hashed)
    if answers:
        extra = frames.restored_interactions(answers, [conversation_of(answer) for answer in answers])
        main = pl.concat([main, extra.select(main.columns)])
    books = Books(
        rows_in=intake.read + len(answers),
        out={
            "interactions": main.height,
            "feedback": len(judged),
            "superseded": len(left_out),
            "repeated": repeated + len(intake.feedback) - len(judged),
            "quarantined": len(intake.rejected),
            "ignored": intake.ignored,
        },
        facts={"restored": len(answers), "bytes": sum(piece.end - piece.start for piece, _ in pieces)},
    )
    sides = {"quarantine": frames.quarantine(intake.rejected), "feedback": frames.feedback(judged, hashed)}
    return StepOutput(main, books, sides)


def _once(intake: Intake) -> tuple[list[Row], int]:
    """Each id once, and how many records repeated one; another record under a known id is quarantined."""
    kept: dict[str, Row] = {}
    repeated = 0
    for row in intake.rows:
        first = kept.setdefault(row.id, row)
        if first is row:
            continue
        if first.content == row.content:
            first.consent = first.consent and row.consent
            repeated += 1
        else:
            intake.rejected.append(_clash(row))
    return list(kept.values()), repeated


def _unknown(intake: Intake, rows: Sequence[Row], here: dict[str, bytes | None]) -> tuple[list[Row], int]:
    """The rows that no earlier batch has, and how many were quarantined: another record under a known id."""
    new, clashes = [], 0
    for row in rows:
        if row.id not in here:
            new.append(row)
        elif (content := here[row.id]) is not None and content != row.content:
            intake.rejected.append(_clash(row))
            clashes += 1
    return new, clashes


def _clash(row: Row) -> Rejected:
    said = "\n".join(turn.content or turn.tool_calls or "" for turn in row.found.messages)
    return Rejected(
        id=digest(row.id, row.content),
        source=row.source.name,
        uri="",
        position=0,
        reason="another record has the same id and other content",
        content=said,
    )


def user_hash(secret: bytes) -> frames.Hash:
    """Keyed hash of a user's name: the same user is the same hash, and nobody finds the name without the key."""

    @cache
    def hashed(user: str | None) -> str | None:
        return user and hashlib.blake2b(user.encode(), key=secret[:64], digest_size=16).hexdigest()

    return hashed
