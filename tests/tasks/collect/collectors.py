"""Real collectors on free ports of the loopback, forked in milliseconds from a process that has imported everything."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from configs.settings import CollectSettings
from storage.lake import Lake
from tasks.collect.run import collect_new

MAX_REQUEST_BYTES = 20_000
"""That the collector of `sender` takes."""
FORKS = """
import json, os, resource, signal, sys
from configs.settings import CollectSettings
from storage.lake import Lake
from tasks.collect.http.serve import serve
from tasks.collect.run import collect_new
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for line in sys.stdin:
    lake, settings, environment, longest, job = json.loads(line)
    if (child := os.fork()) == 0:
        os.environ.update(environment)
        if longest:
            resource.setrlimit(resource.RLIMIT_FSIZE, (longest, longest))
        lake, settings = Lake(lake), CollectSettings.model_validate(settings)
        if job == "collect":
            print(os.getpid(), flush=True)
            collect_new(lake, settings)
        else:
            serve(lake, settings, "127.0.0.1", 0, lambda address, _: print(os.getpid(), address, flush=True))
        os._exit(0)
"""


class Forks:
    """Starts collectors, and runs of collect, for one lake after another."""

    def __init__(self) -> None:
        self._parent = subprocess.Popen(
            [sys.executable, "-c", FORKS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def serve(
        self, lake: Lake, http: dict[str, Any] | None = None, *, longest: int = 0, **environment: str
    ) -> tuple[int, str]:
        """A collector: its process id and address. No file of it may get longer than `longest` bytes."""
        answer = self._ask(lake, {"http": http or {}}, environment, longest, "serve").split()
        return int(answer[0]), answer[1]

    def collect(self, lake: Lake) -> int:
        """A run of collect: its process id."""
        return int(self._ask(lake, {}, {}, 0, "collect"))

    @contextmanager
    def collector(self, lake: Lake, http: dict[str, Any] | None = None, **more: Any) -> Iterator[str]:
        """The address of a collector that ends with the context."""
        process, address = self.serve(lake, http, **more)
        try:
            yield address
        finally:
            os.kill(process, signal.SIGTERM)
            gone(process)

    def close(self) -> None:
        assert self._parent.stdin is not None
        self._parent.stdin.close()
        self._parent.wait(60)

    def _ask(self, lake: Lake, *request: Any) -> str:
        print(json.dumps([lake.uri, *request]), file=self._parent.stdin, flush=True)
        assert self._parent.stdout is not None
        return self._parent.stdout.readline()


def gone(process: int, seconds: float = 20) -> None:
    """Wait until a process has ended that is not ours to wait for."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)
    raise TimeoutError(f"process {process} does not end")


def collected(lake: Lake, table: str = "interactions") -> list[dict[str, Any]]:
    """The rows of a table, once collect took what was spooled."""
    collect_new(lake, CollectSettings())
    return lake.read(table).collect().to_dicts()
