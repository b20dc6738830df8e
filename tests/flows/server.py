"""What tests ask of a real Prefect server."""

import time
from collections.abc import Collection
from typing import Any

import httpx
import pytest

from configs.settings import Settings

BUSY = httpx.codes.SERVICE_UNAVAILABLE
PATIENCE = 180
"""Seconds: SQLite waits for a lock for 60."""
FINAL = frozenset({"COMPLETED", "FAILED", "CRASHED", "CANCELLED"})


class Again(httpx.HTTPTransport):
    """Asks again when the server's SQLite is locked for a moment, as Prefect's own clients do."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        deadline = time.monotonic() + PATIENCE
        while (answer := super().handle_request(request)).status_code == BUSY and time.monotonic() < deadline:
            answer.close()
            time.sleep(0.5)
        return answer


def client(address: str) -> httpx.Client:
    """Of the API of a server."""
    return httpx.Client(base_url=f"{address}/api", timeout=PATIENCE, transport=Again())


def start(api: httpx.Client, deployment: str, settings: Settings) -> str:
    """The id of a run of a deployment with these settings."""
    body = {"parameters": {"settings": settings.model_dump(mode="json")}}
    return str(api.post(f"/deployments/{deployment}/create_flow_run", json=body).raise_for_status().json()["id"])


def wait(api: httpx.Client, run: str, seconds: float, until: Collection[str] = FINAL) -> dict[str, Any]:
    """The state of a flow run once it is one of `until`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        state: dict[str, Any] = api.get(f"/flow_runs/{run}").raise_for_status().json()["state"]
        if state["type"] in until:
            return state
        time.sleep(1)
    pytest.fail(f"the flow run is {state['type']} after {seconds} s")
