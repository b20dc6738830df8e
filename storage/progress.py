"""Long work says how far it is: a line on the log every few seconds, never a silent minute; and to whoever listens."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")
log = logging.getLogger(__name__)
SECONDS = 5.0


@dataclass(frozen=True)
class Progress:
    """How far some work is: `label` says what it is, for example "score: perplexity"."""

    label: str
    done: int
    total: int
    unit: str
    seconds_left: float

    def __str__(self) -> str:
        return f"{self.label}: {self.done:,}/{self.total:,} {self.unit} ({self.seconds_left:.0f} s left)"


Listener = Callable[[Progress], None]
_listeners: list[Listener] = []


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Let `listener` hear of all progress of this process while the context lasts, as often as the log does."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def progress(items: Iterable[T], total: int, label: str, unit: str = "") -> Iterator[T]:
    """Yield `items`, and say `label: done/total` every 5 s.

    Args:
        items: what is worked on.
        total: how many there will be.
        label: what is being done, for example "score: perplexity".
        unit: what the items are, for example "conversations".
    """
    start = last = time.monotonic()
    done, said = 0, False
    for done, item in enumerate(items):
        now = time.monotonic()
        if now - last >= SECONDS:
            left = (now - start) / done * (total - done) if done else 0.0
            _say(Progress(label, done, total, unit, left))
            last, said = now, True
        yield item
    if said:  # who saw it begin sees it end
        _say(Progress(label, done + 1, total, unit, 0.0))


def tell(now: Progress) -> None:
    """Let the listeners know of work that says on the log by itself how far it is."""
    for listener in _listeners:
        listener(now)


def _say(now: Progress) -> None:
    log.info("%s", now)
    tell(now)
