"""The spool: records that the collector has acknowledged, on disk, until `collect` has published them.

A folder of segments, `20261124T220500-3f9c0a1b.jsonl`, one record a line as it came:

- A segment is only ever appended to, by the one process that made it, which holds an exclusive `flock` on it as long
  as it may write. Whoever gets that lock knows that the segment is closed, also when its process was killed.
- What follows the last line break is torn: its sender was not told 202, and nobody reads it.
- `collect` reads segments by offset, as it does any growing log, and removes those that are closed and published.
- To forget a record, overwrite its line with as many spaces: blank lines are skipped, offsets stay as they are, and
  it does not matter whether somebody appends meanwhile. Hold `drain.reading` exclusively while doing so.

Many requests share one fsync: while one group is being written, the next one gathers.
"""

import asyncio
import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from configs.settings import CollectorSettings

SEGMENT_BYTES = 2**26
SEGMENT_SECONDS = 3600.0
LOOK_SECONDS = 1.0
"""How often the sizes of spool and disk are looked up."""


class SpoolError(Exception):
    """Records cannot be taken now; nothing was acknowledged, and the sender may try again later.

    Args:
        reason: why.
        full: whether room must be made by `collect`, not by the operator of the disk.
    """

    def __init__(self, reason: str, *, full: bool = False) -> None:
        super().__init__(reason)
        self.full = full


@dataclass
class Segment:
    """The file that is being appended to."""

    handle: int
    size: int
    opened: float

    def append(self, data: bytes) -> None:
        """Write `data` and wait until it is on the disk; OSError when it is not."""
        view = memoryview(data)
        while view:
            view = view[os.write(self.handle, view) :]
        os.fsync(self.handle)
        self.size += len(data)

    @property
    def finished(self) -> bool:
        return self.size >= SEGMENT_BYTES or time.monotonic() - self.opened >= SEGMENT_SECONDS


def new_segment(folder: Path) -> Segment:
    """A segment of one's own: locked before it has its name, so that nobody takes it for a closed one."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}.jsonl"
    hidden = folder / f".{name}"
    handle = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        hidden.rename(folder / name)
        _sync_folder(folder)
    except OSError:
        os.close(handle)
        raise
    return Segment(handle, 0, time.monotonic())


def _sync_folder(folder: Path) -> None:
    """A file survives a power cut only once its name does."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Spool:
    """The writing end of a spool, for one event loop.

    Args:
        folder: where segments lie.
        limits: how much may wait there, and what must stay free on the disk.
        observe: called with the seconds that each shared write took.
    """

    def __init__(
        self, folder: Path, limits: CollectorSettings, observe: Callable[[float], None] = lambda _: None
    ) -> None:
        self.folder = folder
        self._limits = limits
        self._observe = observe
        self._segment: Segment | None = None
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._commits: asyncio.Task[None] | None = None
        self._writer = ThreadPoolExecutor(1, "spool")
        self._looked = -LOOK_SECONDS
        self._refusal: SpoolError | None = None

    async def add(self, lines: Sequence[bytes]) -> None:
        """Append lines, given without their breaks; comes back once they are on the disk.

        Raises:
            SpoolError: the spool or its disk is full, or could not be written.
        """
        if (refusal := self.refusal()) is not None:
            raise SpoolError(str(refusal), full=refusal.full)
        durable = asyncio.get_running_loop().create_future()
        self._waiting.append((b"\n".join([*lines, b""]), durable))
        if self._commits is None:
            self._commits = asyncio.create_task(self._commit_all())
        await durable

    def size(self) -> int:
        """Bytes that wait in the folder, in segments of all collectors."""
        return sum(_size(file) for file in self.folder.glob("*.jsonl"))

    def rotate(self) -> None:
        """Close a segment that is old; a quiet collector has to be asked."""
        if self._commits is None and self._segment is not None and self._segment.finished:
            self._close_segment()

    async def close(self) -> None:
        """Finish what waits and close the segment."""
        while self._commits is not None:
            await asyncio.wait([self._commits])
        self._writer.shutdown()
        self._close_segment()

    def refusal(self) -> SpoolError | None:
        """Why nothing can be taken now; looked up once a second."""
        now = time.monotonic()
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
            self._refusal = self._full()
        return self._refusal

    def _full(self) -> SpoolError | None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            free = shutil.disk_usage(self.folder).free
        except OSError as error:
            return SpoolError(f"the spool cannot be written: {error.strerror}")
        if free < self._limits.min_free_bytes:
            return SpoolError("the collector's disk is full")
        if self.size() >= self._limits.max_spool_bytes:
            return SpoolError("the spool is full until the next `collect`", full=True)
        return None

    async def _commit_all(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            group, self._waiting = self._waiting, []
            data = b"".join(lines for lines, _ in group)
            try:
                await loop.run_in_executor(self._writer, self._commit, data)
            except OSError as error:
                for _, durable in group:
                    _settle(durable, SpoolError(f"the spool cannot be written: {error.strerror}"))
            else:
                for _, durable in group:
                    _settle(durable)
        self._commits = None

    def _commit(self, data: bytes) -> None:
        """Append and fsync. After an error the segment is left as it is: nothing may follow a torn line."""
        start = time.perf_counter()
        try:
            if self._segment is None:
                self._segment = new_segment(self.folder)
            self._segment.append(data)
        except OSError:
            self._close_segment()
            raise
        self._observe(time.perf_counter() - start)
        if self._segment.finished:
            self._close_segment()

    def _close_segment(self) -> None:
        if self._segment is not None:
            os.close(self._segment.handle)
            self._segment = None


def _settle(durable: asyncio.Future[None], error: SpoolError | None = None) -> None:
    if durable.done():  # its request was given up
        return
    if error is None:
        durable.set_result(None)
    else:
        durable.set_exception(error)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:  # collect removed it just now
        return 0
