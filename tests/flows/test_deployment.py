"""The nightly deployment on a real server and worker, triggered through the API with changed parameters."""

import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from configs.load import parse
from configs.settings import Settings
from flows.laptop import laptop
from storage.lake import Lake
from tests.flows.small import small_settings


def test_the_deployments_carry_settings_that_load() -> None:
    deployments = yaml.safe_load(Path("deploy/prefect.yaml").read_text())["deployments"]
    assert {one["name"] for one in deployments} == {"nightly", "curate", "synthesize", "train", "evaluate", "maintain"}
    for deployment in deployments:
        assert parse(deployment["parameters"]["settings"], "deploy/prefect.yaml").lake


@pytest.mark.slow
def test_the_nightly_deployment_runs_with_changed_parameters(tmp_path: Path, tiny_model: Path) -> None:
    settings = small_settings(tmp_path, tiny_model, stages=("sft",))
    with laptop(tmp_path / "prefect", port=None) as address, httpx.Client(base_url=f"{address}/api", timeout=60) as api:
        nightly = api.get("/deployments/name/nightly/nightly").raise_for_status().json()
        assert nightly["schedules"][0]["schedule"]["cron"] == "0 2 * * *"
        assert "holdout_share" in str(nightly["parameter_openapi_schema"])
        run = start(api, nightly["id"], settings)
        state = wait(api, run, seconds=400)
        assert state["type"] == "COMPLETED", state["message"]
        artifacts = api.post("/artifacts/filter", json={"limit": 200}).raise_for_status().json()
        logs = api.post("/logs/filter", json={"limit": 200}).raise_for_status().json()
        refused = api.post(
            f"/deployments/{nightly['id']}/create_flow_run", json={"parameters": {"settings": {"lak": 1}}}
        )
    kinds = {(artifact["key"], artifact["type"]) for artifact in artifacts}
    assert kinds >= {
        ("funnel", "table"), ("funnel-summary", "markdown"), ("mixture", "table"),
        ("verdict", "markdown"), ("comparison", "table"),
    }  # fmt: skip
    assert any("dedupe" in log["message"] for log in logs)
    assert Lake(settings.lake).read("promotions").collect().height >= 1
    assert refused.status_code in {409, 422}


def start(api: httpx.Client, deployment: str, settings: Settings) -> str:
    body = {"parameters": {"settings": settings.model_dump(mode="json")}}
    return str(api.post(f"/deployments/{deployment}/create_flow_run", json=body).raise_for_status().json()["id"])


def wait(api: httpx.Client, run: str, seconds: float) -> dict[str, Any]:
    """The state of a flow run once it is final."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        state: dict[str, Any] = api.get(f"/flow_runs/{run}").raise_for_status().json()["state"]
        if state["type"] in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}:
            return state
        time.sleep(1)
    pytest.fail(f"the flow run did not end within {seconds} s")
