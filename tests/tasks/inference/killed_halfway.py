"""A run that is killed when half of its requests are answered: `python -m tests.tasks.inference.killed_halfway`."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tasks.inference.client import Client
from tasks.inference.endpoint import connect
from tasks.inference.engine import Outcome, Request, Sampling
from tasks.inference.journal import open_journal

SAMPLING = Sampling(max_new_tokens=16, temperature=0.5, top_p=0.9)
REQUESTS = [Request(({"role": "user", "content": f"question {number}"},), seed=number) for number in range(40)]


def killed_halfway(url: str, folder: Path) -> int:
    """Ask the API at `url` for `REQUESTS`, with the journal in `folder`: the exit status of the killed process."""
    return subprocess.run([sys.executable, "-m", __name__, url, str(folder)], check=False).returncode


class _Halfway(Client):
    def _note(self, key: str, outcome: Outcome) -> None:
        super()._note(key, outcome)
        if self.usage.sent == len(REQUESTS) // 2:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    with open_journal(Path(sys.argv[2])) as journal:
        _Halfway(connect([sys.argv[1]], model=None, key=None, in_flight=1), journal).ask(REQUESTS, SAMPLING, "test")
