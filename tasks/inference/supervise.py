"""Runs a command, and lets nothing of it outlive whoever asked for it: `python supervise.py GRACE COMMAND ...`.

Standard input is a pipe that the starter holds open: it ends when the starter closes it or dies, even by kill -9. Then,
on SIGTERM, and when the command ends by itself, its whole tree is ended: SIGTERM, and after GRACE seconds SIGKILL.
Nothing of the tree can get away, because this process is its subreaper: whoever loses its parent becomes our child.
Only the standard library is used, so that it starts at once and in any Python.
Source: prctl(2), PR_SET_CHILD_SUBREAPER and PR_SET_PDEATHSIG.
"""

import contextlib
import ctypes
import os
import select
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Never

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
TICK = 0.1  # seconds


def main(grace: float, command: list[str]) -> int:
    """Run `command` until it ends or its starter does. Returns its exit status."""
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    starter = os.getppid()
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    child = _start(command)
    status = None
    while status is None and os.getppid() == starter and not stopped.is_set() and not _input_ended():
        status = _reap(child)
    return _end_tree(child, status, grace)


def _start(command: list[str]) -> int:
    child = os.fork()
    if not child:
        _become(command)
    return child


def _become(command: list[str]) -> Never:
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # in case that this supervisor is killed
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.execvp(command[0], command)


def _input_ended() -> bool:
    ready, _, _ = select.select([0], [], [], TICK)
    return bool(ready) and not os.read(0, 4096)


def _reap(child: int) -> int | None:
    """Take leave of all that ended; the exit status of `child` if it is among them."""
    status = None
    with contextlib.suppress(ChildProcessError):  # nobody is left
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if ended[0] == child:
                status = os.waitstatus_to_exitcode(ended[1])
    return status


def _end_tree(child: int, status: int | None, grace: float) -> int:
    """End every process below this one. The command goes first, so that it can put its own children away."""
    deadline = time.monotonic() + grace
    if status is None:
        os.kill(child, signal.SIGTERM)
    while status is None and time.monotonic() < deadline:
        time.sleep(TICK)
        status = _reap(child)
    while found := descendants(os.getpid()):
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM if time.monotonic() < deadline else signal.SIGKILL)
        time.sleep(TICK)
        reaped = _reap(child)
        status = reaped if status is None else status
    return status or 0


def descendants(pid: int) -> list[int]:
    """Every process below `pid`, from /proc; none where there is no /proc."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it ended while we looked
            fields = stat.read_text().rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, todo = [], [pid]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


def _prctl(option: int, value: int) -> None:
    """Linux only: elsewhere the pipe and the process group have to do."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2:]))
