"""Rows of files that a recipe names: read as they are, sampled like all others."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from configs.mixing import JUDGED, MixSource
from configs.settings import Source
from storage.columns import MESSAGES
from storage.snapshot import digest
from tasks.mix.left_out import LeftOut
from tasks.mix.rights import Rights
from tasks.mix.sample import FILES, Sample
from tasks.records.containers import container, records
from tasks.records.files import File, files
from tasks.records.formats.registry import parse
from tasks.records.record import BadRecord, Conversation, Feedback, Item

COLUMNS = {
    **dict.fromkeys(("id", "batch", "part", "source", "unlabelled"), pl.String()),
    "comes_from": pl.List(pl.String()),
    "messages": MESSAGES,
    "prompt": MESSAGES,
    "chosen": pl.String(),
    "rejected": pl.String(),
    "label": pl.Boolean(),
}
Read = Mapping[str, Any] | str
"""What a view reads of a row, or why nothing can be read."""


@dataclass(frozen=True)
class Outside:
    """What files hold for a stage.

    Args:
        rows: COLUMNS, by order.
        files: address, bytes and digest of each file.
    """

    rows: pl.DataFrame
    files: list[dict[str, Any]]


def file_rows(source: MixSource, stage: str, rights: Rights, most: int, left_out: LeftOut, sample: Sample) -> Outside:
    """The first rows of a source's files, in the order of the sample; the same row counts once.

    Args:
        source: with a path.
        stage: that reads it.
        rights: who of the files may be learned from.
        most: rows that are kept, which bounds memory.
        left_out: gets the others.
        sample: the order of the rows.

    Raises:
        SourceError: the path does not exist or cannot be opened.
    """
    kept: dict[str, dict[str, Any]] = {}
    found = files(Source(name=source.name, path=str(source.path)))
    for place, read, comes_from in _rows(found, source, stage, rights):
        if isinstance(read, str):
            left_out.add(place, read)
            continue
        row = _row(source.name, read) | {"comes_from": comes_from}
        if rights.erased.row(row["id"]):
            left_out.add(row["id"], "erased")
        elif row["id"] in kept:
            left_out.add(row["id"], "repeated")
            kept[row["id"]]["comes_from"] = sorted({*kept[row["id"]]["comes_from"], *comes_from})  # it is theirs, too
        else:
            kept[row["id"]] = row
        if len(kept) >= 2 * most:
            _cut(kept, most, left_out, sample)
    _cut(kept, most, left_out, sample)
    rows = pl.DataFrame(list(kept.values()), schema=COLUMNS)
    rows = rows.with_columns(sample.order(rows["unlabelled"]), batch=pl.lit(FILES)).sort("order", "id")
    contradicted = pl.len().over("unlabelled") > 1
    left_out.add_all(rows.filter(contradicted).with_columns(reason=pl.lit("contradicted")))
    described = [{"uri": file.uri, "bytes": file.size, "digest": file.digest(file.size)} for file in found]
    return Outside(rows.filter(~contradicted), described)


def _row(source: str, read: Mapping[str, Any]) -> dict[str, Any]:
    """A row with its id. Rows that are `unlabelled` the same contradict each other."""
    unlabelled = digest(source, json.dumps({**read, "label": None}))
    return {"id": digest(source, json.dumps(read)), "part": source, "source": source, "unlabelled": unlabelled, **read}


def _cut(kept: dict[str, dict[str, Any]], most: int, left_out: LeftOut, sample: Sample) -> None:
    """Take all but the first rows out of `kept`; those that contradict each other stay together."""
    if len(kept) <= most:
        return
    order = sample.order(pl.Series([row["unlabelled"] for row in kept.values()]))
    beyond = order > order.sort()[most - 1]
    for name in pl.Series(list(kept)).filter(beyond):
        del kept[name]
        left_out.add(name, "beyond_max_rows")


def _rows(
    found: Iterable[File], source: MixSource, stage: str, rights: Rights
) -> Iterator[tuple[str, Read, Sequence[str]]]:
    """Where each row stands, what is read of it, and what the lake calls those whom it is of."""
    for file in found:
        how = container(file)
        if how is None:
            yield digest(source.name, file.uri), "unknown_file", ()
            continue
        for record in records(file, how, 0, file.size):
            place = digest(source.name, file.uri, str(record.position))
            for read, comes_from in _of_record(record.value, source.format, stage, rights):
                yield place, read, comes_from


def _of_record(value: Any, form: str, stage: str, rights: Rights) -> Iterable[tuple[Read, Sequence[str]]]:
    """What a stage reads of a record, and whose that is."""
    if isinstance(value, BadRecord):
        return [("unreadable", ())]
    try:
        read = list(_readings(parse(value, form), stage))
        return [(rights.refusal(whose, value) or one, rights.whose(whose)) for whose, one in read]
    except BadRecord:
        return [("unreadable", ())]


def _readings(items: Sequence[Item | BadRecord], stage: str) -> Iterator[tuple[Sequence[Item], Read]]:
    """Each conversation or, where answers are compared, each judgement; with the items that it is made of."""
    yield from (((), "unreadable") for item in items if isinstance(item, BadRecord))
    said = [item for item in items if isinstance(item, Conversation)]
    judged = [item for item in items if isinstance(item, Feedback)]
    if not said:
        yield from (((one,), "no_conversation") for one in judged)
    elif stage in JUDGED:
        yield from _judgements(said, judged, stage)
    else:
        disliked = [_about(said, one) for one in judged if one.kind == "thumb" and (one.value or 0) < 0]
        yield from (((one,), "disliked" if one in disliked else _messages(one, stage)) for one in said)


def _judgements(
    said: Sequence[Conversation], judged: Sequence[Feedback], stage: str
) -> Iterator[tuple[Sequence[Item], Read]]:
    kind, missing, read = ("thumb", "no_label", _label) if stage == "kto" else ("comparison", "no_pair", _pair)
    wanted = [one for one in judged if one.kind == kind]
    if not wanted:
        yield said, missing
    for one in wanted:
        about = _about(said, one)
        yield ((one,), "no_conversation") if about is None else ((about, one), read(about, one))


def _about(said: Sequence[Conversation], judged: Feedback) -> Conversation | None:
    """The conversation of a record that feedback in it is about."""
    if judged.target is None:
        return said[-1]
    return next((one for one in said if judged.target in (one.native_id, *one.aliases)), None)


def _messages(said: Conversation, stage: str) -> Read:
    return {"messages": _turns(said)} if stage == "cpt" or said.kind == "conversation" else "no_answer"


def _pair(said: Conversation, judged: Feedback) -> Read:
    if not (judged.preferred or "").strip():
        return "no_answer"
    if judged.preferred == judged.rejected:
        return "no_difference"
    return {"prompt": _turns(said)[:-1], "chosen": judged.preferred, "rejected": judged.rejected}


def _label(said: Conversation, judged: Feedback) -> Read:
    answer = said.messages[-1].content
    if not (answer or "").strip():
        return "no_answer"
    return {"prompt": _turns(said)[:-1], "chosen": answer, "label": (judged.value or 0) > 0}


def _turns(said: Conversation) -> list[dict[str, str | None]]:
    return [message._asdict() for message in said.messages]
