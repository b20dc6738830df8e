"""The deployments on a real server: their settings, their schedule, and what guards their runs."""

import os
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import yaml

from configs.load import parse
from configs.training import STAGES
from flows.guard import GPU, SILENCE_SECONDS, TAG, guard
from flows.notify import VARIABLE
from flows.setup import SetupError, set_up
from tests.flows.server import wait
from tests.flows.webhook import webhook


def test_the_deployments_carry_settings_that_load() -> None:
    deployments = yaml.safe_load(Path("deploy/prefect.yaml").read_text())["deployments"]
    trainings = {f"train-{stage}" for stage in STAGES}
    names = {"nightly", "curate", "synthesize", "synthesize-shard", *trainings, "evaluate", "approve", "maintain"}
    assert {one["name"] for one in deployments} == names
    for deployment in deployments:
        assert parse(deployment["parameters"]["settings"], "deploy/prefect.yaml").lake
        module, _, name = deployment["entrypoint"].partition(":")
        assert getattr(import_module(module), name).name == deployment["name"]


@pytest.mark.slow
def test_nights_are_scheduled(api: httpx.Client) -> None:
    """By the server itself, which some versions of SQLAlchemy keep from it."""
    due = {"deployments": {"name": {"any_": ["nightly"]}}, "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}
    deadline = time.monotonic() + 60
    while not api.post("/flow_runs/count", json=due).raise_for_status().json():
        assert time.monotonic() < deadline
        time.sleep(1)


@pytest.mark.slow
def test_what_guards_runs_is_there_once(address: str, api: httpx.Client) -> None:
    guard({"PREFECT_API_URL": f"{address}/api"}, gpus=2)
    guard({"PREFECT_API_URL": f"{address}/api"}, gpus=1)
    assert api.get(f"/v2/concurrency_limits/{GPU}").raise_for_status().json()["limit"] == 1
    known = api.post("/automations/filter", json={}).raise_for_status().json()
    assert [one["trigger"]["within"] for one in known] == [SILENCE_SECONDS]


@pytest.mark.slow
def test_setting_up_again_keeps_what_a_person_set(address: str, api: httpx.Client) -> None:
    api.patch("/work_pools/gpu", json={"is_paused": True, "concurrency_limit": 3}).raise_for_status()
    told = {**os.environ, "PREFECT_API_URL": f"{address}/api"}
    set_up(told)
    pool = api.get("/work_pools/gpu").raise_for_status().json()
    assert (pool["is_paused"], pool["concurrency_limit"]) == (True, 3)
    api.patch("/work_pools/gpu", json={"is_paused": False, "concurrency_limit": None}).raise_for_status()
    with pytest.raises(SetupError, match="cpu is there already, of type process, not kubernetes"):
        set_up(told, "kubernetes")


@pytest.mark.slow
def test_only_our_runs_die_of_silence_and_not_while_a_person_thinks(address: str, api: httpx.Client) -> None:
    told = {"PREFECT_API_URL": f"{address}/api"}
    with webhook() as (hook, texts), ExitStack() as after:
        after.callback(guard, told)  # other tests' runs say only every 30 s that they live
        guard({**told, VARIABLE: hook}, silence=10)
        foreign, waits, silent = (beating(api, tags) for tags in ([], [TAG], [TAG]))
        paused = {"state": {"type": "PAUSED", "name": "Suspended"}}
        api.post(f"/flow_runs/{waits['id']}/set_state", json=paused).raise_for_status()
        state = wait(api, silent["id"], seconds=90, until={"CRASHED"})
        deadline = time.monotonic() + 30
        while not texts and time.monotonic() < deadline:
            time.sleep(0.5)
    assert "Nothing was heard of it for 10 s" in state["message"]
    assert texts == [f"Flywheel: silence died without a word ({silent['name']})"]
    wait(api, waits["id"], seconds=1, until={"PAUSED"})
    wait(api, foreign["id"], seconds=1, until={"RUNNING"})


def beating(api: httpx.Client, tags: list[str]) -> dict[str, Any]:
    """A run whose process said once that it lives, as Prefect's engine does, and never again."""
    flow = api.post("/flows/", json={"name": "silence"}).raise_for_status().json()["id"]
    body = {"flow_id": flow, "tags": tags, "state": {"type": "RUNNING"}}
    run: dict[str, Any] = api.post("/flow_runs/", json=body).raise_for_status().json()
    related = [("flow", flow), *(("tag", tag) for tag in tags)]
    event = {
        "id": str(uuid4()),
        "occurred": datetime.now(UTC).isoformat(),
        "event": "prefect.flow-run.heartbeat",
        "resource": {"prefect.resource.id": f"prefect.flow-run.{run['id']}"},
        "related": [
            {"prefect.resource.id": f"prefect.{role}.{name}", "prefect.resource.role": role} for role, name in related
        ],
    }
    api.post("/events", json=[event]).raise_for_status()
    return run
