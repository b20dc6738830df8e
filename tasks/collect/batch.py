"""A batch from its plan to rows: read, assemble, leave out what is here already, make frames and books."""

import gc
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import polars as pl

from configs.settings import CollectSettings
from storage.erasures import load
from storage.lake import Lake
from storage.names import user_hash
from storage.publish import Books, StepOutput
from storage.snapshot import digest
from tasks.collect import rows as frames
from tasks.collect.assemble import superseded
from tasks.collect.forget import leave_out_erased
from tasks.collect.history import conversation_of, judged_before, known, known_feedback, late_targets, point_at
from tasks.collect.intake import Intake, Judgement, Rejected, Row, read
from tasks.collect.plan import Piece
from tasks.records.files import File

log = logging.getLogger(__name__)
Pieces = Sequence[tuple[Piece, File]]


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the garbage collector, which would look through all rows of a batch many times to find no cycle."""
    paused = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if paused:
            gc.enable()


@_uncollected()
def collect_batch(lake: Lake, batch: str, pieces: Pieces, settings: CollectSettings) -> StepOutput:
    """What the bytes of a batch hold that is not in the lake yet.

    Args:
        lake: where earlier batches are.
        batch: the batch being made.
        pieces: its plan, each piece with the file that holds it.
        settings: sources and consent.
    """
    intake = read(pieces, settings)
    hashed = user_hash(lake.secret())
    erased = leave_out_erased(intake, load(lake), hashed)
    rows, repeated = _once(intake)
    aliases = _aliases(rows)
    _resolve(intake.feedback, aliases)
    early = judged_before(lake, rows, batch)
    targets = {judgement.target_id for judgement in intake.feedback}
    left_out = superseded(rows, targets | {aliases.get(name, name) for name in early})
    point_at(lake, {name: aliases[name] for name in early if name in aliases})
    rows = [row for row in rows if row.id not in left_out]
    new, clashes = _unknown(intake, rows, known(lake, rows, batch))
    repeated += len(rows) - len(new) - clashes
    judged = _new_feedback(lake, intake.feedback, batch)
    late = late_targets(lake, judged, {row.id for row in rows}, batch)
    _resolve(judged, late.aliases)
    if late.missing:
        log.warning(
            "collect: feedback is about %s answers that are not here (yet); does `about` name the right source?",
            f"{late.missing:,}",
        )
    main = frames.interactions(new, hashed)
    if late.restored:
        extra = frames.restored_interactions(late.restored, [conversation_of(answer) for answer in late.restored])
        main = pl.concat([main, extra.select(main.columns)])
    out = {
        "interactions": main.height,
        "feedback": len(judged),
        "superseded": len(left_out),
        "repeated": repeated + len(intake.feedback) - len(judged),
        "quarantined": len(intake.rejected),
        "erased": erased,
    }
    size = sum(piece.end - piece.start for piece, _ in pieces)
    facts = {"bytes": size, "restored": len(late.restored), "unmatched_targets": late.missing}
    sides = {"quarantine": frames.quarantine(intake.rejected), "feedback": frames.feedback(judged, hashed)}
    return StepOutput(main, Books(intake.read + len(late.restored), out, facts), sides)


def _new_feedback(lake: Lake, feedback: Sequence[Judgement], batch: str) -> list[Judgement]:
    unique = list({judgement.id: judgement for judgement in feedback}.values())
    here = known_feedback(lake, unique, batch)
    return [judgement for judgement in unique if judgement.id not in here]


def _aliases(rows: Sequence[Row]) -> dict[str, str]:
    """Other names of rows, and the newest row of that name."""
    in_time = sorted(rows, key=lambda row: row.found.occurred_at.timestamp() if row.found.occurred_at else 0.0)
    own = {row.id for row in rows}
    return {alias: row.id for row in in_time for alias in row.also if alias not in own}


def _resolve(feedback: Sequence[Judgement], aliases: Mapping[str, str]) -> None:
    for judgement in feedback:
        judgement.target_id = aliases.get(judgement.target_id, judgement.target_id)


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
