"""The champion's address passes on what it is there for, and nothing else."""

import json
from pathlib import Path
from typing import Any

import anyio
import pytest
from fastapi.testclient import TestClient

from storage.lake import Lake
from tasks.promote.front import Front, application
from tests.tasks.promote.keeping import ASKED, keeping, lake_of_two


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return lake_of_two(tmp_path)


def test_who_has_no_key_gets_nothing(lake: Lake) -> None:
    front = Front("secret")
    with TestClient(application(front)) as client:
        assert client.get("/health").status_code == 503
        assert client.get("/v1/models").status_code == 401
        assert client.get("/v1/models", headers={"authorization": "Bearer secret"}).status_code == 503


def test_a_path_that_leads_nowhere_is_refused_and_nothing_is_owed(lake: Lake) -> None:
    with keeping(lake) as (keeper, client):
        (lake.local("models", "old") / "tokenize").write_text('{"tokens": [1]}')
        assert client.post("/tokenize", json={}).json() == {"tokens": [1]}
        for path in ("/v1/%2e%2e/metrics", "/v1/%2e/models", f"/v1/{':' * 30_000}"):
            assert client.get(path).status_code == 400, path[:40]
        assert client.get("/v1/models%01%3F").json() == {}  # for the server to judge
        assert keeper.running is not None
        assert keeper.running.backend.in_flight == 0


def test_to_a_caller_that_hangs_up_before_the_answer_begins_nothing_is_owed(lake: Lake) -> None:
    said = iter([{"type": "http.request", "body": json.dumps(ASKED).encode()}, {"type": "http.disconnect"}])

    async def receive() -> dict[str, Any]:
        return next(said)

    async def send(_: dict[str, Any]) -> None:
        await anyio.sleep_forever()

    with keeping(lake) as (keeper, _):
        assert keeper.running is not None
        scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": [], "query_string": b""}
        anyio.run(application(keeper.front), scope, receive, send)
        assert keeper.running.backend.in_flight == 0
