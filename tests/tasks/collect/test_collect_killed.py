"""Each record once, whatever was killed or run at once."""

import os
import signal
import subprocess
import sys
import time
from random import Random

import pytest

from configs.settings import CollectSettings
from storage.lake import Lake
from tests.tasks.collect.logs import books, log, rows, settings, write

CHILDREN = """
import contextlib, os, sys
from storage.lake import Lake
from configs.settings import CollectSettings
from tasks.collect.run import collect_new
for line in sys.stdin:  # forks before any thread was started, so that a child costs nothing to start
    if (child := os.fork()) == 0:
        collect_new(Lake(sys.argv[1]), CollectSettings.model_validate_json(sys.argv[2]))
        os._exit(0)
    print(child, flush=True)
    if line == "wait\\n":
        print(os.waitpid(child, 0)[1], flush=True)
with contextlib.suppress(ChildProcessError):  # until none is left
    while True:
        os.wait()
"""


class Collectors:
    """Starts processes that each collect once."""

    def __init__(self, lake: Lake, chosen: CollectSettings) -> None:
        command = [sys.executable, "-c", CHILDREN, lake.uri, chosen.model_dump_json()]
        self.parent = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def start(self, *, wait: bool = False) -> int:
        """Start one; the process id, or the exit status once it has ended."""
        print("wait" if wait else "go", file=self.parent.stdin, flush=True)
        child = int(self.parent.stdout.readline())
        return int(self.parent.stdout.readline()) if wait else child

    def close(self) -> None:
        self.parent.stdin.close()
        self.parent.wait(60)


@pytest.mark.slow
def test_collectors_at_once_take_each_record_once(lake, tmp_path):
    write(tmp_path / "app.jsonl", *(log(f"n{at}", f"question {at}", minutes=at) for at in range(300)))
    collectors = Collectors(lake, settings(tmp_path / "app.jsonl", batch_bytes=20_000))
    for _ in range(3):
        collectors.start()
    assert collectors.start(wait=True) == 0
    collectors.close()
    assert rows(lake)["id"].n_unique() == rows(lake).height == 300
    planned = rows(lake, "sources").sort("start")
    assert planned["start"].to_list()[1:] == planned["end"].to_list()[:-1]


@pytest.mark.slow
def test_killed_30_times_at_any_moment_each_record_is_there_once(lake, tmp_path):
    records = [log(f"n{at}", f"question {at}", minutes=at) for at in range(1200)]
    feedback = [{"target_id": f"n{at}", "kind": "thumb", "value": 1} for at in range(1200)]
    paths = tmp_path / "app.jsonl", tmp_path / "said.jsonl"
    chosen = settings(*paths, batch_bytes=12_000)
    collectors, random = Collectors(lake, chosen), Random(5)
    for at in range(0, 1200, 40):
        write(paths[0], *records[at : at + 40], mode="a")
        write(paths[1], *feedback[at : at + 40], mode="a")
        child = collectors.start()
        time.sleep(random.uniform(0.01, 0.6))
        os.kill(child, signal.SIGKILL)
    assert collectors.start(wait=True) == 0
    collectors.close()
    assert rows(lake)["id"].n_unique() == rows(lake).height == 1200
    assert rows(lake, "feedback")["id"].n_unique() == rows(lake, "feedback").height == 1200
    for batch in rows(lake)["batch"].unique():
        assert books(lake, batch)
