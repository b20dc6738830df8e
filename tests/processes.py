"""Processes that are not ours to wait for: who of them still runs."""

import time
from collections.abc import Iterable
from pathlib import Path


def running(pid: int) -> bool:
    """Whether a process has not ended; one whose end nobody took notice of yet has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def left(pids: Iterable[int], seconds: float = 15) -> list[int]:
    """Who of them still runs after so many seconds; nobody as soon as all have ended."""
    deadline = time.monotonic() + seconds
    while (found := [pid for pid in pids if running(pid)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found
