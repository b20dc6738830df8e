"""Which records of a request can be used: the collector asks exactly what `collect` will ask of its spool."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson

from configs.settings import CollectSettings, Source
from tasks.collect.intake import Judgement, Row, understood
from tasks.records.record import BadRecord

Rule = Callable[[list[Row], list[Judgement]], str | None]
"""Why an endpoint does not take a record that can be understood; None: it does."""


@dataclass
class Checked:
    """The records of a request.

    Args:
        lines: of the records that can be used, for the spool.
        rejected: place in the request, from 0, and why it cannot be used, or not all of it.
        refused: how many records cannot be used at all.
    """

    lines: list[bytes] = field(default_factory=list)
    rejected: list[tuple[int, str]] = field(default_factory=list)
    refused: int = 0


def anything(rows: list[Row], feedback: list[Judgement]) -> str | None:
    """Takes every record that holds a conversation, a document or feedback."""
    del rows, feedback
    return None


def only_feedback(rows: list[Row], feedback: list[Judgement]) -> str | None:
    """Takes records that hold feedback and nothing else."""
    del feedback
    return "it is no feedback: post conversations to /v1/interactions" if rows else None


def check(records: Iterable[Any], source: Source, settings: CollectSettings, rule: Rule = anything) -> Checked:
    """Sort out what `collect` could not use.

    Args:
        records: JSON values, or why there is none at that place.
        source: the spool.
        settings: where consent is found.
        rule: what the endpoint takes.
    """
    checked = Checked()
    for index, record in enumerate(records):
        try:
            bad = _bad_parts(record, source, settings, rule)
            line = _line(record)
        except BadRecord as whole:
            checked.rejected.append((index, str(whole)))
            checked.refused += 1
            continue
        checked.lines.append(line)
        checked.rejected += [(index, f"a part of it cannot be used: {part}") for part in bad]
    return checked


def _line(record: Any) -> bytes:
    try:
        return orjson.dumps(record)
    except orjson.JSONEncodeError as error:  # it can be read at four times the depth at which it can be written
        raise BadRecord(f"it cannot be stored: {error}") from error


def _bad_parts(record: Any, source: Source, settings: CollectSettings, rule: Rule) -> list[BadRecord]:
    """The parts of a record that cannot be used.

    Raises:
        BadRecord: that is all of it, or the endpoint does not take it.
    """
    rows, feedback, bad = understood(source, record, settings)
    if not rows and not feedback:
        raise bad[0]
    if reason := rule(rows, feedback):
        raise BadRecord(reason)
    return bad
