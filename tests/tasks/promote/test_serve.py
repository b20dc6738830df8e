"""The champion is served behind one address, whatever happens to it: another promotion, a crash, a kill."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from configs.settings import ServeSettings, Settings
from storage import rollouts
from storage.lake import Lake
from storage.verdicts import champion, last_move, promotions
from tasks.inference.engine import EngineError
from tasks.inference.listen import ListenError
from tasks.promote.front import Front
from tasks.promote.serve import MOST_WAIT, Keeper, ServeError, serve_champion
from tests.tasks.promote.keeping import ASKED, COMMAND, PROMPTS, keeping, lake_of_two, promote_new, serving
from tests.tiny_model import make_tiny_model


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return lake_of_two(tmp_path)


def test_the_next_champion_takes_over_and_no_request_is_lost(lake: Lake) -> None:
    answered: list[tuple[int, str]] = []
    with keeping(lake, swap="beside") as (keeper, client):
        streamed: list[str] = []

        def stream() -> None:
            with client.stream("POST", "/v1/chat/completions", json=ASKED | {"stream": True}) as answer:
                streamed.append(answer.read().decode())

        done = threading.Event()

        def ask() -> None:
            while not done.is_set():
                answer = client.post("/v1/chat/completions", json=ASKED)
                answered.append((answer.status_code, answer.json()["model"]))

        threads = [threading.Thread(target=work) for work in (stream, ask)]
        for thread in threads:
            thread.start()
        promote_new(lake)
        keeper.follow()
        answered_late = client.post("/v1/chat/completions", json=ASKED).json()["model"]
        done.set()
        for thread in threads:
            thread.join()
    assert answered_late == "new"
    assert {status for status, _ in answered} == {200}
    assert [name for _, name in answered] == sorted((name for _, name in answered), reverse=True)  # old, then new
    assert streamed[0].count("data:") == 20 * 6
    move = last_move(lake)
    assert move is not None
    assert rollouts.done(lake, move[0]) == {rollouts.SERVED}


def test_without_memory_for_two_callers_are_told_to_come_again(lake: Lake) -> None:
    with keeping(lake, swap="instead") as (keeper, client):
        promote_new(lake)
        seen = []
        keeper._load = lambda *model, load=keeper._load: (  # type: ignore[method-assign]
            seen.append(client.post("/v1/chat/completions", json=ASKED)),
            load(*model),
        )[1]
        keeper.follow()
        assert (seen[0].status_code, seen[0].headers["retry-after"]) == (503, "5")
        assert client.get("/health").json() == {"model": "new"}


@pytest.mark.parametrize("swap", ["beside", "instead"])
@pytest.mark.parametrize("fault", ["broken", "answer.txt"], ids=["does not load", "does not answer"])
def test_a_champion_that_does_not_work_goes_back(lake: Lake, swap: str, fault: str) -> None:
    (lake.local("models", "new") / fault).write_text("")
    with keeping(lake, swap=swap) as (keeper, client):
        promote_new(lake)
        keeper.follow()
        keeper.follow()
        assert client.post("/v1/chat/completions", json=ASKED).json()["model"] == "old"
    assert champion(lake) == "old"
    reason = promotions(lake).row(-1, named=True)["reasons"][0]
    assert ("cannot be served" if fault == "broken" else "smoke prompt") in reason


def test_what_answers_without_a_message_goes_back_and_leaves_no_server_behind(lake: Lake) -> None:
    folder = lake.local("models", "new")
    (folder / "completions").write_text('{"error": "no such thing"}')
    with keeping(lake, swap="beside") as (keeper, client):
        promote_new(lake)
        keeper.follow()
        assert not [line for line in processes() if str(folder) in line]
        assert client.get("/health").json() == {"model": "old"}
    assert "without a message" in promotions(lake).row(-1, named=True)["reasons"][0]


def test_a_champion_that_reads_conversations_otherwise_than_it_was_trained_goes_back(lake: Lake) -> None:
    folder = make_tiny_model(lake.local("models", "new"))
    (folder / "tokenize").write_text('{"tokens": [1, 2, 3]}')
    with keeping(lake) as (keeper, _):
        promote_new(lake)
        keeper.follow()
    assert "another chat template" in promotions(lake).row(-1, named=True)["reasons"][0]


def test_a_champion_whose_weights_are_gone_goes_back_and_the_old_one_never_stops(lake: Lake) -> None:
    with keeping(lake, swap="instead") as (keeper, client):
        running = keeper.running
        shutil.rmtree(lake.local("models", "new"))
        promote_new(lake)
        keeper.follow()
        assert keeper.running is running
        assert client.get("/health").json() == {"model": "old"}
    assert champion(lake) == "old"


def test_what_cannot_be_noted_is_noted_later_and_the_old_server_ends(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError("the disk is full")

    with keeping(lake, swap="beside") as (keeper, client):
        old = keeper.running
        promote_new(lake)
        with monkeypatch.context() as patched:
            patched.setattr(rollouts, "record", full)
            with pytest.raises(OSError, match="is full"):
                keeper.follow()
        assert old is not None
        assert old.server.process.poll() is not None
        assert client.get("/health").json() == {"model": "new"}
        keeper.follow()
    move = last_move(lake)
    assert move is not None
    assert rollouts.done(lake, move[0]) == {rollouts.SERVED}


def test_however_often_it_fails_it_is_tried_again(lake: Lake) -> None:
    waits: list[float] = []

    class Impatient(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout or 0)
            if len(waits) == 1100:
                self.set()
            return True

    log = lake.local("tables", "promotions", "_delta_log")
    (log / f"{len(list(log.glob('*.json'))):020}.json").write_text("not a log")
    Keeper(lake, serving(), PROMPTS, Front(None)).run(Impatient())
    assert waits[:3] == [0.1, 0.2, 0.4]
    assert waits[-1] == MOST_WAIT


def test_a_champion_that_served_before_is_loaded_again_and_never_goes_back_for_a_crash(lake: Lake) -> None:
    promote_new(lake)
    with keeping(lake) as (keeper, client):
        assert keeper.running is not None
        os.kill(keeper.running.server.process.pid, signal.SIGKILL)
        keeper.running.server.process.wait()
        assert client.post("/v1/chat/completions", json=ASKED).status_code == 502
        (lake.local("models", "new") / "broken").touch()
        with pytest.raises(EngineError, match=r"new is not served.*cannot be served"):
            keeper.follow()
        (lake.local("models", "new") / "broken").unlink()
        keeper.follow()
        assert client.post("/v1/chat/completions", json=ASKED).json()["model"] == "new"
    assert champion(lake) == "new"


def test_what_cannot_be_served_is_said(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLYWHEEL_SERVE_KEY", raising=False)
    own = Settings(serve=serving())
    for found, settings, host, words in (
        (Lake(str(tmp_path / "empty")), own, "127.0.0.1", "no champion to serve yet"),
        (lake, Settings(serve=ServeSettings(vllm_python="/no/python")), "127.0.0.1", "There is no /no/python"),
        (lake, own, "0.0.0.0", "on this machine only, not on 0.0.0.0"),
    ):
        with pytest.raises(ServeError, match=words):
            serve_champion(found, settings, host, 0)
    monkeypatch.setenv("FLYWHEEL_SERVE_KEY", "secret")
    with pytest.raises(ListenError, match=r"Cannot listen on 192\.0\.2\.1"):
        serve_champion(lake, own, "192.0.2.1", 0)


def test_the_command_serves_and_leaves_nothing_behind(lake: Lake, tmp_path: Path) -> None:
    config = tmp_path / "mine.yaml"
    config.write_text(json.dumps({"lake": lake.uri, "serve": {"command": COMMAND, "poll_seconds": 0.05}}))
    command = [sys.executable, "-m", "flows.cli", "serve", str(config), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        url = next(word for word in running.stdout.readline().split() if word.startswith("http"))
        answer = once_ready(url)
        os.kill(running.pid, signal.SIGINT)
        assert running.wait(30) == 0
    assert answer["model"] == "old"
    assert not [line for line in processes() if str(lake.local()) in line]


def once_ready(url: str) -> dict[str, Any]:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        answer = httpx.post(f"{url}/chat/completions", json=ASKED)
        if answer.status_code == 200:
            return dict(answer.json())
        assert answer.status_code == 503
        time.sleep(0.1)
    pytest.fail("nothing was served within 30 s")


def processes() -> list[str]:
    return subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout.splitlines()


KILLED = """
import os, signal, sys
from configs.settings import ServeSettings, SmokePrompt
from storage import rollouts, verdicts
from storage.lake import Lake
from tasks.promote import rollout, serve, smoke
from tasks.promote.front import Front
uri, place, given = sys.argv[1:]
def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
spots = {
    "before it is loaded": (serve.Keeper, "_load"),
    "before it is asked": (smoke, "over_http"),
    "before requests go there": (serve.Keeper, "_switch"),
    "before it is noted": (rollouts, "record"),
    "before the pointer goes back": (verdicts, "withdraw"),
    "before the hooks are told": (rollout, "tell_all"),
}
setattr(*spots[place], die)
prompts = [SmokePrompt(prompt="Hello!", expect="(?i)hello")]
serve.Keeper(Lake(uri), ServeSettings.model_validate_json(given), prompts, Front(None)).follow()
"""


@pytest.mark.parametrize(
    ("place", "works"),
    [
        ("before it is loaded", True), ("before it is asked", True), ("before requests go there", True),
        ("before it is noted", True), ("before the pointer goes back", False), ("before the hooks are told", False),
    ],
)  # fmt: skip
def test_killed_anywhere_the_pointer_names_a_model_that_is_served_next(lake: Lake, place: str, works: bool) -> None:
    if not works:
        (lake.local("models", "new") / "answer.txt").write_text("")
    promote_new(lake)
    command = [sys.executable, "-c", KILLED, lake.uri, place, serving().model_dump_json()]
    environment = os.environ | {"PYTHONPATH": str(Path.cwd())}
    assert subprocess.run(command, check=False, env=environment).returncode == -signal.SIGKILL
    with keeping(lake) as (keeper, client):
        keeper.follow()
        served = client.post("/v1/chat/completions", json=ASKED).json()["model"]
    assert served == champion(lake) == ("new" if works else "old")
    assert promotions(lake)["verdict"].to_list().count("rollback") == (0 if works else 1)
