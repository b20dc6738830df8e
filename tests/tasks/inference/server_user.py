"""Users of servers who are ended from outside: what trees of processes they leave behind.

`python -m tests.tasks.inference.server_user`: a process of its own, because it forks, and one with the threads of other
tests could not.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection

from tasks.inference import server
from tasks.inference.supervise import descendants


def trees_of_ended(
    commands: Sequence[Sequence[str]], end: signal.Signals, *, start_timeout: float = 30, grace: float = server.GRACE
) -> list[list[int]]:
    """Start each server, one after the other, and end its user while it is healthy: who the server's tree was.

    Args:
        commands: of the servers.
        end: the user gets this signal; SIGINT is an exception there, and any other one its death.
        start_timeout: see `serve`.
        grace: seconds that a server has to end by itself.
    """
    asked = json.dumps([list(map(list, commands)), int(end), start_timeout, grace])
    done = subprocess.run([sys.executable, "-m", __name__, asked], stdout=subprocess.PIPE, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def main(commands: list[list[str]], end: int, start_timeout: float, grace: float) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs would ignore it
    server.GRACE = grace
    for command in commands:
        receiver, sender = get_context("fork").Pipe(duplex=False)
        user = get_context("fork").Process(target=_use, args=(command, start_timeout, sender))
        user.start()
        sender.close()
        receiver.recv()  # EOFError: the user has failed, and said why
        assert user.pid
        tree = descendants(user.pid)
        os.kill(user.pid, end)
        user.join()
        print(json.dumps(tree), flush=True)


def _use(command: list[str], start_timeout: float, healthy: Connection) -> None:
    with contextlib.suppress(KeyboardInterrupt), server.serve(command, start_timeout=start_timeout):
        healthy.send(True)
        time.sleep(600)


if __name__ == "__main__":
    main(*json.loads(sys.argv[1]))
