"""A server of our own: healthy inside the block, and nothing of its tree is left after it, whatever ended it."""

import os
import signal
from pathlib import Path

import pytest

from tasks.inference import server as server_module
from tasks.inference.engine import EngineError
from tasks.inference.server import serve
from tests.processes import left, running
from tests.tasks.inference.fake_server import command
from tests.tasks.inference.server_user import trees_of_ended

TREE = ("server", "engine", "worker", "fled")


@pytest.fixture(autouse=True)
def _short_grace(monkeypatch):
    monkeypatch.setattr(server_module, "GRACE", 0.2)


def alive(folder: Path) -> list[str]:
    """Who of the tree still runs, of those who came to write their pid."""
    return [name for name in TREE if (folder / name).exists() and running(int((folder / name).read_text()))]


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
def test_whatever_ends_us_ends_the_tree_too(tmp_path, end):
    folders = [tmp_path / str(turn) for turn in range(10)]
    trees = trees_of_ended([command(folder) for folder in folders], end, grace=0.2)
    for folder, tree in zip(folders, trees, strict=True):
        assert {int((folder / name).read_text()) for name in TREE} < set(tree)  # and the supervisor
        assert not left(tree)


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
