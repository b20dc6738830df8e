"""The reading end of the spool: it is a source like others, whose files are removed once they are published."""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from configs.settings import CollectorSettings, CollectSettings, Source
from configs.sources import HTTP
from storage.lake import Lake
from tasks.records.files import File


def folder(lake: Lake, settings: CollectorSettings) -> Path | None:
    """Where the spool of a lake lies; None when the lake is in an object store and no folder is named."""
    if settings.spool is not None:
        return Path(settings.spool).resolve()
    return Path(lake.path() + ".spool") if lake.is_local else None


def source(place: Path, settings: CollectorSettings) -> Source:
    """The spool as a source of step 1."""
    return Source(name=HTTP, path=f"{place}/*.jsonl", domain=settings.domain, about=settings.about)


def with_spool(lake: Lake, settings: CollectSettings) -> CollectSettings:
    """Settings whose sources name the spool, too."""
    place = folder(lake, settings.http)
    if place is None:
        return settings
    return settings.model_copy(update={"sources": (*settings.sources, source(place, settings.http))})


@contextmanager
def reading(place: Path | None) -> Iterator[int | None]:
    """Keep a spool's segments from being removed or changed while one reads them.

    Yields:
        The lock, for `alone`; None when there is no spool.
    """
    if place is None or not place.is_dir():
        yield None
        return
    lock = os.open(place / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield lock
    finally:
        os.close(lock)


def alone(lock: int) -> bool:
    """Whether nobody else reads the spool; from then on nobody does until the lock is given back."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def remove_closed(place: Path, segments: Sequence[File]) -> int:
    """Remove segments that nobody appends to any more, and say how many.

    Args:
        place: the spool; empty segments go, too: their collectors were killed before they wrote.
        segments: as they were when all of their lines were found to be published; the caller is `alone`.
    """
    known = [(Path(file.uri), file.size) for file in segments]
    empty = [(file, 0) for file in place.glob("[!.]*.jsonl") if file.stat().st_size == 0]
    return sum(_removed(file, size) for file, size in known + empty)


def _removed(file: Path, size: int) -> bool:
    try:
        handle = os.open(file, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(handle).st_size != size:  # closed just now, after more was written
            return False
        file.unlink()
    except BlockingIOError:  # its collector lives
        return False
    finally:
        os.close(handle)
    return True
