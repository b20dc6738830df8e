"""Long work says how far it is: a line on the log every few seconds, never a silent minute."""

import logging
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
log = logging.getLogger(__name__)
SECONDS = 5.0


def progress(items: Iterable[T], total: int, label: str, unit: str = "") -> Iterator[T]:
    """Yield `items`, and log `label: done/total` every 5 s.

    Args:
        items: what is worked on.
        total: how many there will be.
        label: what is being done, for example "score: perplexity".
        unit: what the items are, for example "conversations".
    """
    start = last = time.monotonic()
    for done, item in enumerate(items):
        now = time.monotonic()
        if now - last >= SECONDS:
            left = (now - start) / done * (total - done) if done else 0.0
            log.info("%s: %s/%s %s (%.0f s left)", label, f"{done:,}", f"{total:,}", unit, left)
            last = now
        yield item
