"""Rows of files that a recipe names: read as they are, sampled by hash like all others."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from configs.mixing import MixSource
from configs.settings import Source
from storage.columns import MESSAGES
from storage.snapshot import digest
from tasks.mix.select import PAIRS
from tasks.records.containers import container, records
from tasks.records.files import files
from tasks.records.formats.registry import parse
from tasks.records.record import BadRecord, Conversation, Feedback, Item

COLUMNS = {
    **dict.fromkeys(("id", "batch", "part", "source", "order"), pl.String()),
    "messages": MESSAGES,
    "prompt": MESSAGES,
    "chosen": pl.String(),
    "rejected": pl.String(),
    "label": pl.Boolean(),
}
Found = tuple[str, Mapping[str, Any] | str]
"""Id of a row, and what a view reads of it, or why nothing can be read."""


@dataclass(frozen=True)
class Outside:
    """What files hold for a stage.

    Args:
        rows: COLUMNS, by order.
        left_out: `id`, `reason` of the others.
        files: address, bytes and digest of each file.
    """

    rows: pl.DataFrame
    left_out: pl.DataFrame
    files: list[dict[str, Any]]


def file_rows(source: MixSource, stage: str, most: int, seed: int) -> Outside:
    """The first rows of a source's files, in the order of the sample; the same row counts once.

    Args:
        source: with a path.
        stage: that reads it.
        most: rows that are kept, which bounds memory.
        seed: the order follows from it.

    Raises:
        SourceError: the path does not exist or cannot be opened.
    """
    kept: dict[str, Mapping[str, Any]] = {}
    left_out: list[tuple[str, str]] = []
    found = files(Source(name=source.name, path=str(source.path)))
    for name, row in _rows(found, source, stage):
        if isinstance(row, str):
            left_out.append((name, row))
        elif name in kept:
            left_out.append((name, "repeated"))
        else:
            kept[name] = {
                "id": name,
                "part": source.name,
                "source": source.name,
                "order": digest(str(seed), name),
                **row,
            }
        if len(kept) >= 2 * most:
            left_out += _beyond(kept, most)
    left_out += _beyond(kept, most)
    rows = pl.DataFrame(list(kept.values()), schema=COLUMNS).with_columns(batch=pl.lit("files")).sort("order")
    schema = {"id": pl.String(), "reason": pl.String()}
    described = [{"uri": file.uri, "bytes": file.size, "digest": file.digest(file.size)} for file in found]
    return Outside(rows, pl.DataFrame(left_out, schema=schema, orient="row"), described)


def _beyond(kept: dict[str, Mapping[str, Any]], most: int) -> list[tuple[str, str]]:
    """Take all but the first rows out of `kept`."""
    beyond = sorted(kept, key=lambda name: kept[name]["order"])[most:]
    for name in beyond:
        del kept[name]
    return [(name, "beyond_max_rows") for name in beyond]


def _rows(found: Iterable[Any], source: MixSource, stage: str) -> Iterator[Found]:
    for file in found:
        how = container(file)
        if how is None:
            yield digest(source.name, file.uri), "unknown_file"
            continue
        for record in records(file, how, 0, file.size):
            place = digest(source.name, file.uri, str(record.position))
            if isinstance(record.value, BadRecord):
                yield place, "unreadable"
                continue
            try:
                items = parse(record.value, source.format)
            except BadRecord:
                yield place, "unreadable"
                continue
            for row in _of_record(items, stage):
                yield (place, row) if isinstance(row, str) else (digest(source.name, json.dumps(row)), row)


def _of_record(items: Iterable[Item | BadRecord], stage: str) -> Iterator[Mapping[str, Any] | str]:
    """What a stage reads of a record: each conversation or, where answers are compared, the one that is judged."""
    said = [item for item in items if isinstance(item, Conversation)]
    judged = {item.kind: item for item in items if isinstance(item, Feedback)}
    if not said:
        yield "no_conversation"
    elif stage in PAIRS:
        yield _pair(said[-1], judged.get("comparison"))
    elif stage == "kto":
        yield _label(said[-1], judged.get("thumb"))
    elif (thumb := judged.get("thumb")) is not None and (thumb.value or 0) < 0:
        yield "disliked"
    else:
        for conversation in said:
            fits = stage == "cpt" or conversation.kind == "conversation"
            yield {"messages": _messages(conversation)} if fits else "no_answer"


def _pair(said: Conversation, judged: Feedback | None) -> Mapping[str, Any] | str:
    if judged is None:
        return "no_pair"
    return {"prompt": _messages(said)[:-1], "chosen": judged.preferred, "rejected": judged.rejected}


def _label(said: Conversation, judged: Feedback | None) -> Mapping[str, Any] | str:
    if judged is None:
        return "no_label"
    return {"prompt": _messages(said)[:-1], "chosen": said.messages[-1].content, "label": (judged.value or 0) > 0}


def _messages(said: Conversation) -> list[dict[str, str | None]]:
    return [message._asdict() for message in said.messages]
