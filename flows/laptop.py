"""`make ui`: a Prefect server, work pools, every deployment and workers on this machine, until Ctrl-C.

For a laptop: SQLite, no authentication, loopback only. `deploy/` has what a team runs.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from flows.setup import HOME, POOLS, set_up

START_SECONDS = 180


@contextmanager
def laptop(folder: Path, port: int | None = None) -> Iterator[str]:
    """Server, pools, deployments and workers, up while the context lasts.

    Args:
        folder: where Prefect keeps its database and logs.
        port: of the server; the usual 4200 or, if that is taken, a free one.

    Yields:
        The address of the server.

    Raises:
        RuntimeError: something did not start; the message names its log.
    """
    folder.mkdir(parents=True, exist_ok=True)
    address = f"http://127.0.0.1:{port or free_port(4200)}"
    told = environment(folder, address)
    with process(["server", "start"], told, folder / "server.log") as server:
        wait_healthy(f"{address}/api/health", server, folder / "server.log")
        set_up(told)
        with ExitStack() as workers:
            for pool in POOLS:
                workers.enter_context(process(["worker", "start", "--pool", pool], told, folder / f"worker-{pool}.log"))
            yield address


def environment(folder: Path, address: str) -> dict[str, str]:
    """What server and workers on this machine are told.

    Args:
        folder: where Prefect keeps its database and logs.
        address: where the server is to listen.
    """
    return {
        **os.environ,
        "FLYWHEEL_HOME": str(HOME),  # where the deployments tell the workers to run
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PREFECT_HOME": str(folder),
        "PREFECT_API_URL": f"{address}/api",
        "PREFECT_UI_API_URL": f"{address}/api",
        "PREFECT_SERVER_API_HOST": "127.0.0.1",
        "PREFECT_SERVER_API_PORT": address.rpartition(":")[2],
        "PREFECT_LOGGING_EXTRA_LOGGERS": "flows,tasks,storage",
    }


def free_port(wanted: int = 0) -> int:
    """`wanted` if nobody listens there, else any free port of the loopback."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def process(arguments: list[str], environment: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A `prefect` command in a session of its own; it and its children end with the context."""
    with log.open("ab") as out:
        child = subprocess.Popen(
            [sys.executable, "-m", "prefect", *arguments],
            env=dict(environment),
            cwd=HOME,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield child
    finally:
        _end(child)


def _end(child: subprocess.Popen[bytes], patience: float = 15) -> None:
    for kind in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(child.pid, kind)
            child.wait(patience)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
    child.wait()


def wait_healthy(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    """Return once the server answers.

    Raises:
        RuntimeError: it does not; the message names its log.
    """
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if httpx.get(url, timeout=2).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.5)
    raise RuntimeError(f"The Prefect server did not start within {START_SECONDS} s; see {log}.")


def main() -> None:
    """Start everything, print where the UI is, and wait for Ctrl-C."""
    for kind in (signal.SIGTERM, signal.SIGHUP):  # what it started has sessions of its own, and would stay
        signal.signal(kind, signal.default_int_handler)
    folder = HOME / "lakes" / "prefect"
    sys.stdout.write("Starting the Prefect server, the deployments and the workers ...\n")
    with laptop(folder) as address:
        sys.stdout.write(
            f"The UI is at {address}\n"
            "  Deployments -> nightly -> Run starts a run; it also runs every night at 02:00 UTC.\n"
            f"  Logs: {folder}. Ctrl-C ends everything.\n"
        )
        sys.stdout.flush()
        try:
            signal.pause()
        except KeyboardInterrupt:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # an impatient second Ctrl-C must not leave a server behind
            sys.stdout.write("Ending ...\n")


if __name__ == "__main__":
    main()
