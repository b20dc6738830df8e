"""What follows a promotion: hooks are told, the served model is asked, and who was killed in between is carried on."""

import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from configs.settings import Hook, ServeSettings, SmokePrompt
from storage import rollouts
from storage.lake import Lake
from storage.registry import Model, register
from storage.verdicts import Decision, champion, decide, last_move, withdraw
from tasks.promote import hooks
from tasks.promote.rollout import follow
from tests.tasks.inference.scripted_api import Reply, scripted_api
from tests.tasks.promote.openai_server import served

PROMPTS = (SmokePrompt(prompt="Hello!", expect="(?i)hello", refuse="error"),)
PROMOTED = Decision("new", "old", "promote", ["Better."], {"metrics": []})


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Two models, of which the second one just became champion."""
    found = Lake(str(tmp_path / "lake"))
    for name in ("old", "new"):
        folder = found.folder("models", name)
        (folder / "answer.txt").write_text("Hello, I am here.")
        register(found, Model(name, "lm", "sft", str(folder), "t"), batch="0")
    decide(found, Decision("old", None, "promote", ["The first one."]), batch="0")
    decide(found, PROMOTED, batch="1")
    return found


def settings(**values: Any) -> ServeSettings:
    return ServeSettings.model_validate({"start_timeout": 5, "poll_seconds": 0.05, **values})


@contextmanager
def webhook(*statuses: int) -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """An address, and what was posted there; the answers are `statuses`, the last one again and again."""
    got: list[tuple[dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((dict(self.headers), self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(statuses[min(len(got), len(statuses)) - 1])
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{running.server_port}/secret-path", got
    finally:
        running.shutdown()
        running.server_close()


def facts(lake: Lake) -> list[tuple[str, bool]]:
    move = last_move(lake)
    assert move is not None
    return list(rollouts.facts(lake, move[0]).select("what", "ok").iter_rows())


def test_a_command_gets_the_verdict_once(lake: Lake, tmp_path: Path) -> None:
    code = f"import sys; open({str(tmp_path / 'told')!r}, 'a').write(sys.stdin.read() + '\\n')"
    wanted = settings(hooks=[{"command": [sys.executable, "-c", code]}])
    for _ in range(2):
        follow(lake, PROMOTED, wanted, ())
    (line,) = (tmp_path / "told").read_text().splitlines()
    told = json.loads(line)
    assert (told["event"], told["model"], told["instead_of"], told["reasons"]) == ("promote", "new", "old", ["Better."])
    assert told["folder"] == lake.path("models", "new")
    assert facts(lake) == [(f"1. command {sys.executable}", True)]


def test_a_webhook_is_signed_and_asked_again_while_it_is_away(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLYWHEEL_WEBHOOK_SECRET", "shared")
    monkeypatch.setattr(hooks, "WAIT", 0.01)
    with webhook(503, 204) as (url, got):
        follow(lake, PROMOTED, settings(hooks=[{"webhook": url}]), ())
    (_, first), (headers, body) = got
    assert first == body
    assert headers["X-Flywheel-Signature"] == f"sha256={hmac.new(b'shared', body, hashlib.sha256).hexdigest()}"
    assert headers["X-Flywheel-Delivery"] == json.loads(body)["decision"]
    assert facts(lake) == [("1. webhook 127.0.0.1", True)]  # the path may be a secret


def test_a_hook_that_fails_is_reported_and_told_again(lake: Lake, caplog: pytest.LogCaptureFixture) -> None:
    with webhook(404, 200) as (url, got):
        wanted = settings(
            hooks=[
                {"webhook": url},
                {"command": ["/no/such/program"]},
                {"command": [sys.executable, "-c", "import sys; sys.exit('the door is shut')"]},
                {"command": ["sleep", "60"], "timeout": 0.2},
            ]
        )
        follow(lake, PROMOTED, wanted, ())
        assert [ok for _, ok in facts(lake)] == [False] * 4
        for words in ("answered 404", "No such file", "ended with status 1: the door is shut", "within 0.2 s"):
            assert words in caplog.text
        follow(lake, PROMOTED, wanted, ())
        assert len(got) == 2
    assert champion(lake) == "new"
    assert dict(facts(lake))["1. webhook 127.0.0.1"]


def test_a_served_model_that_answers_stays(lake: Lake) -> None:
    with served(lake.local("models", "new"), "new") as url:
        assert follow(lake, PROMOTED, settings(url=url), PROMPTS) == PROMOTED
    assert facts(lake) == [("served", True)]
    assert follow(lake, PROMOTED, settings(url=url), PROMPTS) == PROMOTED  # which is not asked again: it is gone


@pytest.mark.parametrize("answer", ["", "Who knows.", "hello error"])
def test_a_served_model_that_does_not_answer_is_rolled_back_once_and_all_are_told(lake: Lake, answer: str) -> None:
    (lake.local("models", "new") / "answer.txt").write_text(answer)
    with served(lake.local("models", "new"), "new") as url, webhook(200) as (hook, got):
        back = follow(lake, PROMOTED, settings(url=url, hooks=[{"webhook": hook}]), PROMPTS)
        assert (back.model, back.champion) == ("old", "new")
        assert 'The answer to the smoke prompt "Hello!"' in back.reasons[0]
        assert follow(lake, PROMOTED, settings(url=url, hooks=[{"webhook": hook}]), PROMPTS) == back
    assert champion(lake) == "old"
    assert [json.loads(body)["event"] for _, body in got] == ["promote", "rollback"]


def test_a_model_that_never_gets_there_is_reported_and_stays(lake: Lake, caplog: pytest.LogCaptureFixture) -> None:
    with served(lake.local("models", "old"), "old") as url:
        assert follow(lake, PROMOTED, settings(url=url, start_timeout=0.3), PROMPTS) == PROMOTED
    assert champion(lake) == "new"
    assert "other models are served there" in caplog.text
    assert facts(lake) == [("served", False)]


@pytest.mark.parametrize("answer", [(500, b"{}"), (200, b'{"choices": []}'), (200, b"Hello!")])
def test_a_model_that_is_there_but_gives_no_answers_goes_back(lake: Lake, answer: Reply) -> None:
    with scripted_api(lambda *_: answer, model="new") as api:
        back = follow(lake, PROMOTED, settings(url=api.url, start_timeout=0.5), PROMPTS)
    assert (back.verdict, champion(lake)) == ("rollback", "old")
    assert "was there, but gave no answers" in back.reasons[0]


def test_a_server_may_fail_while_it_is_being_restarted(lake: Lake) -> None:
    def answer(_: dict[str, Any], before: int) -> Reply:
        return (503, b"{}") if before < 2 else "Hello!"

    with scripted_api(answer, model="new") as api:
        assert follow(lake, PROMOTED, settings(url=api.url), PROMPTS) == PROMOTED
    assert facts(lake) == [("served", True)]


def test_who_looks_after_another_took_the_model_back_hears_of_it(lake: Lake) -> None:
    move = last_move(lake)
    assert move is not None
    back = withdraw(lake, move[0], "It cannot be loaded.")
    assert follow(lake, PROMOTED, settings(), ()) == back


def test_who_waits_for_a_model_that_another_takes_back_hears_of_it(lake: Lake) -> None:
    found: list[Decision] = []
    with served(lake.local("models", "old"), "old") as url:
        wanted = settings(url=url, start_timeout=20)
        waiting = threading.Thread(target=lambda: found.append(follow(lake, PROMOTED, wanted, ())))
        waiting.start()
        move = last_move(lake)
        assert move is not None
        back = withdraw(lake, move[0], "It cannot be loaded.")
        waiting.join()
    assert found == [back]


KILLED = """
import os, signal, sys
from pathlib import Path
from configs.settings import ServeSettings, SmokePrompt
from storage import rollouts, verdicts
from storage.lake import Lake
from storage.verdicts import Decision, decide
from tasks.promote import hooks, rollout, smoke
uri, place, given = sys.argv[1:]
def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
spots = {
    "before the pointer": (rollout.verdicts, "decide"),
    "before the hook": (hooks, "tell"),
    "before the hook is noted": (rollouts, "record"),
    "before the served model is asked": (smoke, "over_http"),
    "before the pointer goes back": (rollout.verdicts, "withdraw"),
}
setattr(*spots[place], die)
lake = Lake(uri)
better = Decision("new", "old", "promote", ["Better."])
rollout.verdicts.decide(lake, better, batch="2")
prompts = [SmokePrompt(prompt="Hello!", expect="(?i)hello")]
rollout.follow(lake, better, ServeSettings.model_validate_json(given), prompts)
"""


@pytest.mark.parametrize("works", [True, False], ids=["works", "broken"])
@pytest.mark.parametrize(
    "place",
    [
        "before the pointer", "before the hook", "before the hook is noted", "before the served model is asked",
        "before the pointer goes back",
    ],
)  # fmt: skip
def test_killed_anywhere_the_next_run_ends_with_a_served_model(tmp_path: Path, place: str, works: bool) -> None:
    lake = Lake(str(tmp_path / "lake"))
    for name in ("old", "new"):
        folder = lake.folder("models", name)
        (folder / "answer.txt").write_text("Hello." if works else "")
        register(lake, Model(name, "lm", "sft", str(folder), "t"), batch="0")
    decide(lake, Decision("old", None, "promote", ["The first one."]), batch="0")
    told = tmp_path / "told"
    hook = {"command": [sys.executable, "-c", f"open({str(told)!r}, 'a').write('x')"]}
    with served(lake.local("models", "new"), "new") as url:
        wanted = settings(url=url, hooks=[hook])
        command = [sys.executable, "-c", KILLED, lake.uri, place, wanted.model_dump_json()]
        status = subprocess.run(command, check=False, env=os.environ | {"PYTHONPATH": str(Path.cwd())}).returncode
        reached = place != "before the pointer goes back" or not works
        assert status == (-signal.SIGKILL if reached else 0)
        assert champion(lake) == ("old" if place == "before the pointer" else "new")
        decide(lake, Decision("new", "old", "promote", ["Better."]), batch="2")  # the same run, once more
        follow(lake, PROMOTED, wanted, [SmokePrompt(prompt="Hello!", expect="(?i)hello")])
    assert champion(lake) == ("new" if works else "old")
    assert len(told.read_text()) >= (1 if works else 2)


def test_a_hook_is_one_thing_and_a_pattern_is_a_pattern() -> None:
    for wrong in ({}, {"command": ["true"], "webhook": "http://localhost"}):
        with pytest.raises(ValueError, match="either a command or a webhook"):
            Hook.model_validate(wrong)
    with pytest.raises(ValueError, match="is not a regular expression"):
        SmokePrompt(prompt="Hello", expect="(")
