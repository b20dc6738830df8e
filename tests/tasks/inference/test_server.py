"""A server of our own: healthy inside the block, and nothing of its tree is left after it, whatever ended it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tasks.inference import server as server_module
from tasks.inference.engine import EngineError
from tasks.inference.server import serve
from tests.tasks.inference import fake_server

TREE = ("server", "engine", "worker", "fled")
KILLED = """
import os, sys, time
from pathlib import Path
from tasks.inference import server
server.GRACE = 0.2
end, root, *command = sys.argv[1:]
for turn in range(10):
    folder = Path(root, str(turn))
    folder.mkdir()
    user = os.fork()
    if not user:
        try:
            with server.serve([word.replace(root, str(folder)) for word in command], start_timeout=30):
                (folder / "healthy").touch()
                time.sleep(600)
        finally:
            os._exit(0)
    while not (folder / "healthy").exists():
        time.sleep(0.02)
    os.kill(user, int(end))
    os.waitpid(user, 0)
"""
"""Forks in a process of its own: one with the threads of other tests could not."""


@pytest.fixture(autouse=True)
def _short_grace(monkeypatch):
    monkeypatch.setattr(server_module, "GRACE", 0.2)


def command(folder: Path, mode: str = "serve") -> list[str]:
    return [sys.executable, "-I", fake_server.__file__, str(folder), mode]


def alive(folder: Path) -> list[str]:
    """Who of the tree still runs; its pids are all known by now."""
    return [name for name in TREE if running(int((folder / name).read_text()))]


def running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def gone(folder: Path, within: float = 10) -> bool:
    deadline = time.monotonic() + within
    while alive(folder) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not alive(folder)


def test_it_serves_and_ends_with_the_block(tmp_path, caplog):
    with caplog.at_level("INFO"), serve(command(tmp_path), start_timeout=30) as server:
        assert server.url.startswith("http://127.0.0.1:")
        assert alive(tmp_path) == list(TREE)
        server.check()
    assert not alive(tmp_path)
    assert "vllm: loading weights" in caplog.text


def test_an_exception_ends_the_tree(tmp_path):
    with pytest.raises(ZeroDivisionError), serve(command(tmp_path), start_timeout=30):
        _ = 1 / 0
    assert not alive(tmp_path)


def test_a_server_that_ends_is_an_error_that_quotes_its_log(tmp_path):
    with (
        pytest.raises(EngineError, match=r"status 3.*\n.*loading weights"),
        serve(command(tmp_path, "die"), start_timeout=30),
    ):
        pass
    assert not alive(tmp_path)


def test_a_server_that_never_gets_healthy_is_given_up(tmp_path):
    with pytest.raises(EngineError, match="not healthy after 2 s"), serve(command(tmp_path, "hang"), start_timeout=2):
        pass
    assert not alive(tmp_path)


def test_a_command_that_does_not_exist_is_an_error():
    with pytest.raises(EngineError, match="No such file"), serve(["/no/such/python"], start_timeout=30):
        pass


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_whatever_kills_us_ends_the_tree_too(tmp_path, end):
    subprocess.run([sys.executable, "-c", KILLED, str(int(end)), tmp_path, *command(tmp_path)], check=True)
    for turn in range(10):
        assert gone(tmp_path / str(turn)), alive(tmp_path / str(turn))


def test_killing_the_supervisor_ends_all_but_who_fled_from_it(tmp_path):
    with serve(command(tmp_path), start_timeout=30) as server:
        server.process.kill()
        server.process.wait()
        with pytest.raises(EngineError, match="ended"):
            server.check()
    left = alive(tmp_path)
    for name in left:
        os.kill(int((tmp_path / name).read_text()), signal.SIGKILL)
    assert left in ([], ["fled"])
