"""Forgetting what waits in the spool: the lines of erased records are overwritten with spaces, where they are."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import orjson

from configs.settings import CollectSettings, Source
from storage.erasures import Erased
from storage.lake import Lake
from storage.names import Hash, Names
from tasks.collect.forget import is_erased
from tasks.collect.http.drain import folder, reading, source
from tasks.collect.intake import Judgement, Row, understood
from tasks.records.record import BadRecord


@dataclass(frozen=True)
class Line:
    """A line of a segment: `size` bytes from `start`, without its break."""

    file: Path
    start: int
    size: int


def erased_lines(lake: Lake, settings: CollectSettings, erased: Erased, hashed: Hash) -> list[Line]:
    """The lines of a lake's spool that hold something of whoever was erased."""
    place = folder(lake, settings.http)
    if place is None or not place.is_dir():
        return []
    spool = source(place, settings.http)
    found = []
    for file in sorted(place.glob("*.jsonl")):
        for start, text in _lines(file):
            if _is_erased(text, spool, settings, erased, hashed):
                found.append(Line(file, start, len(text)))
    return found


def blank(lake: Lake, settings: CollectSettings, erased: Erased, hashed: Hash) -> int:
    """Overwrite the lines of whoever was erased, and say how many; waits until nobody reads the spool."""
    with reading(folder(lake, settings.http)) as lock:
        if lock is None:
            return 0
        fcntl.flock(lock, fcntl.LOCK_EX)
        lines = erased_lines(lake, settings, erased, hashed)
        for line in lines:
            with closing(os.fdopen(os.open(line.file, os.O_WRONLY), "wb")) as out:
                out.seek(line.start)
                out.write(b" " * line.size)
                out.flush()
                os.fsync(out.fileno())
    return len(lines)


def _lines(file: Path) -> Iterator[tuple[int, bytes]]:
    """Each whole line that is not blank, and where it begins."""
    start = 0
    with file.open("rb") as lines:
        for line in lines:
            if line.endswith(b"\n") and line.strip():
                yield start, line[:-1]
            start += len(line)


def _is_erased(text: bytes, spool: Source, settings: CollectSettings, erased: Erased, hashed: Hash) -> bool:
    try:
        rows, feedback, _ = understood(spool, orjson.loads(text), settings)
    except (ValueError, BadRecord):
        content = text.decode("utf-8", "replace")
        return any(erased.named(kind, name) for kind, name in Names(hashed, [spool.name]).within(content))
    found: list[Row | Judgement] = [*rows, *feedback]
    return any(is_erased(one, erased, hashed) for one in found)
