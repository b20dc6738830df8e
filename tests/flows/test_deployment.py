"""The deployments on a real server and worker, triggered through the API with changed parameters."""

import os
import time
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import yaml
from prefect.settings import PREFECT_API_URL, temporary_settings

from configs.load import parse
from configs.settings import PromoteSettings, Settings
from configs.training import STAGES
from flows.guard import GPU, SILENCE_SECONDS, TAG, guard
from flows.laptop import laptop
from flows.notify import VARIABLE
from flows.promote import ask
from flows.setup import SetupError, set_up
from storage.lake import Lake
from storage.registry import Model, register
from storage.verdicts import Decision, champion, decide, promotions
from tests.flows.small import small_settings
from tests.flows.webhook import webhook

FINAL = frozenset({"COMPLETED", "FAILED", "CRASHED", "CANCELLED"})


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with laptop(tmp_path_factory.mktemp("prefect"), port=None) as found:
        yield found


@pytest.fixture
def api(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{address}/api", timeout=60) as client:
        yield client


def test_the_deployments_carry_settings_that_load() -> None:
    deployments = yaml.safe_load(Path("deploy/prefect.yaml").read_text())["deployments"]
    trainings = {f"train-{stage}" for stage in STAGES}
    names = {"nightly", "curate", "synthesize", *trainings, "evaluate", "approve", "maintain"}
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
    with webhook() as (hook, texts):
        guard({**told, VARIABLE: hook}, silence=10)
        foreign, waits, silent = (beating(api, tags) for tags in ([], [TAG], [TAG]))
        paused = {"state": {"type": "PAUSED", "name": "Suspended"}}
        api.post(f"/flow_runs/{waits['id']}/set_state", json=paused).raise_for_status()
        state = wait(api, silent["id"], seconds=90, until={"CRASHED"})
        guard(told)
        deadline = time.monotonic() + 30
        while not texts and time.monotonic() < deadline:
            time.sleep(0.5)
    assert "Nothing was heard of it for 10 s" in state["message"]
    assert texts == [f"Flywheel: silence died without a word ({silent['name']})"]
    wait(api, waits["id"], seconds=1, until={"PAUSED"})
    wait(api, foreign["id"], seconds=1, until={"RUNNING"})


@pytest.mark.slow
def test_the_nightly_deployment_runs_with_changed_parameters(
    api: httpx.Client, tmp_path: Path, tiny_model: Path
) -> None:
    settings = small_settings(tmp_path, tiny_model, stages=("sft",))
    settings = settings.model_copy(update={"train": settings.train.model_copy(update={"deployments": True})})
    nightly = api.get("/deployments/name/nightly/nightly").raise_for_status().json()
    assert nightly["schedules"][0]["schedule"]["cron"] == "0 2 * * *"
    assert "holdout_share" in str(nightly["parameter_openapi_schema"])
    run = start(api, nightly["id"], settings)
    state = wait(api, run, seconds=400)
    assert state["type"] == "COMPLETED", state["message"]
    artifacts = api.post("/artifacts/filter", json={"limit": 200}).raise_for_status().json()
    logs = api.post("/logs/filter", json={"limit": 200}).raise_for_status().json()
    refused = api.post(f"/deployments/{nightly['id']}/create_flow_run", json={"parameters": {"settings": {"lak": 1}}})
    trainings = api.post("/flow_runs/filter", json={"flows": {"name": {"any_": ["train-sft"]}}}).json()
    kinds = {(artifact["key"], artifact["type"]) for artifact in artifacts}
    assert kinds >= {
        ("report", "markdown"), ("funnel", "table"), ("funnel-summary", "markdown"), ("mixture", "table"),
        ("verdict", "markdown"), ("comparison", "table"), ("comparison-chart", "image"), ("trend-chart", "image"),
    }  # fmt: skip
    assert [one["state"]["type"] for one in trainings] == ["COMPLETED"]
    assert trainings[0]["deployment_id"] is not None  # nightly left the training to the pool of its deployment
    assert trainings[0]["parent_task_run_id"] is not None
    assert any("dedupe" in log["message"] for log in logs)
    assert Lake(settings.lake).read("promotions").collect().height >= 1
    assert refused.status_code in {409, 422}


@pytest.mark.slow
def test_a_person_decides_by_a_form_that_shows_the_evidence(address: str, api: httpx.Client, tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    for name in ("old", "new"):
        register(lake, Model(name, "lm", "sft", str(lake.folder("models", name)), "t"), batch="0")
    decide(lake, Decision("old", None, "promote", ["The first one."]), batch="0")
    decide(lake, Decision("new", "old", "wait", ["Loss 2.3 -> 2.1: proven better."], {"metrics": []}), batch="1")
    settings = Settings(lake=lake.uri, promote=PromoteSettings(approval=True, smoke=()))  # these have no weights
    with temporary_settings({PREFECT_API_URL: f"{address}/api"}):
        ask(settings, "new")
        ask(settings, "new")
    (run,) = api.post("/flow_runs/filter", json={"flows": {"name": {"any_": ["approve"]}}}).raise_for_status().json()
    state = wait(api, run["id"], seconds=300, until=FINAL | {"PAUSED"})
    assert state["type"] == "PAUSED", state["message"]
    keys = state["state_details"]["run_input_keyset"]
    shown = api.get(f"/flow_runs/{run['id']}/input/{keys['description']}").raise_for_status().json()
    assert "Shall `new` serve instead of `old`?" in shown
    assert "Loss 2.3 -> 2.1: proven better." in shown
    said = {"decision": "promote", "name": "Ann", "reason": "Reads well."}
    api.post(f"/flow_runs/{run['id']}/resume", json={"run_input": said}).raise_for_status()
    state = wait(api, run["id"], seconds=300)
    assert state["type"] == "COMPLETED", state["message"]
    assert champion(lake) == "new"
    assert promotions(lake).row(-1, named=True)["reasons"][0] == "Approved by Ann: Reads well."


def start(api: httpx.Client, deployment: str, settings: Settings) -> str:
    body = {"parameters": {"settings": settings.model_dump(mode="json")}}
    return str(api.post(f"/deployments/{deployment}/create_flow_run", json=body).raise_for_status().json()["id"])


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


def wait(api: httpx.Client, run: str, seconds: float, until: Collection[str] = FINAL) -> dict[str, Any]:
    """The state of a flow run once it is one of `until`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        state: dict[str, Any] = api.get(f"/flow_runs/{run}").raise_for_status().json()["state"]
        if state["type"] in until:
            return state
        time.sleep(1)
    pytest.fail(f"the flow run is {state['type']} after {seconds} s")
