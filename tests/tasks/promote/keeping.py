"""A lake of two models, and a keeper that has loaded its champion."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from configs.settings import ServeSettings, SmokePrompt
from storage.lake import Lake
from storage.registry import Model, register
from storage.verdicts import Decision, decide
from tasks.promote.front import Front, application
from tasks.promote.serve import Keeper
from tests.tasks.promote import openai_server

PROMPTS = (SmokePrompt(prompt="Hello!", expect="(?i)hello"),)
COMMAND = [sys.executable, openai_server.__file__, "{folder}", "{name}"]
ASKED = {"model": "champion", "messages": [{"role": "user", "content": "Who are you?"}]}


def lake_of_two(folder: Path) -> Lake:
    """Two models, old and new, of which the first one is champion."""
    found = Lake(str(folder / "lake"))
    for name in ("old", "new"):
        folder = found.folder("models", name)
        (folder / "answer.txt").write_text(f"Hello, this is the {name} one. " * 20)
        register(found, Model(name, "lm", "sft", str(folder), "t"), batch="0")
    decide(found, Decision("old", None, "promote", ["The first one."]), batch="0")
    return found


def serving(**values: Any) -> ServeSettings:
    return ServeSettings.model_validate({"command": COMMAND, "start_timeout": 20, "poll_seconds": 0.05, **values})


def promote_new(lake: Lake) -> None:
    decide(lake, Decision("new", "old", "promote", ["Better."]), batch="1")


@contextmanager
def keeping(lake: Lake, **values: Any) -> Iterator[tuple[Keeper, TestClient]]:
    """A keeper that has loaded the champion, and a client of its front."""
    front = Front(None)
    keeper = Keeper(lake, serving(**values), PROMPTS, front)
    try:
        with TestClient(application(front)) as client:
            keeper.follow()
            yield keeper, client
    finally:
        keeper.close()
