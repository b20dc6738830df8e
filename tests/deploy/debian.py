"""Postgres and Redis from Debian's packages, on the loopback, gone when the context ends."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flows.laptop import free_port

PASSWORD = "a-password-of-the-test"


@contextmanager
def postgres() -> Iterator[str]:
    """A database `prefect` whose owner `prefect` has PASSWORD; its address as HOST:PORT."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs:
        pytest.skip("needs Debian's package postgresql")
    owner = "postgres" if os.getuid() == 0 else None  # it refuses to run as root
    with tempfile.TemporaryDirectory(prefix="flywheel-postgres-") as name:
        folder, port = Path(name), free_port()
        (folder / "password").write_text(PASSWORD)
        if owner:
            shutil.chown(folder, owner)
            shutil.chown(folder / "password", owner)
        initdb = ["--username", "prefect", "--pwfile", folder / "password", "--auth", "scram-sha-256"]
        _run([programs[-1] / "initdb", "--pgdata", folder / "data", *initdb], owner)
        options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder} -c fsync=off"
        control = [programs[-1] / "pg_ctl", "--pgdata", folder / "data", "--wait", "--log", folder / "log"]
        _run([*control, "--options", options, "start"], owner)
        try:
            client = ["--host", "127.0.0.1", "--port", port, "--username", "prefect"]
            _run([programs[-1] / "createdb", *client, "prefect"], owner)
            yield f"127.0.0.1:{port}"
        finally:
            _run([*control, "--mode", "immediate", "stop"], owner)


@contextmanager
def redis(folder: Path) -> Iterator[str]:
    """A Redis that asks for PASSWORD; its address as HOST:PORT."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("needs Debian's package redis-server")
    port = free_port()
    options = [
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--dir",
        str(folder),
        "--save",
        "",
        "--requirepass",
        PASSWORD,
    ]
    with (folder / "redis.log").open("wb") as log, subprocess.Popen([program, *options], stdout=log) as server:
        try:
            _wait_for_line(folder / "redis.log", b"Ready to accept connections")
            yield f"127.0.0.1:{port}"
        finally:
            server.terminate()


def _run(command: list[object], owner: str | None) -> None:
    words = [str(word) for word in command]
    done = subprocess.run(
        words, user=owner, group=owner, env={**os.environ, "PGPASSWORD": PASSWORD, "LC_ALL": "C"},
        cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{' '.join(words)}:\n{done.stdout}{done.stderr}"


def _wait_for_line(log: Path, line: bytes, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while line not in log.read_bytes():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)
