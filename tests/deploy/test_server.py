"""What deploy/compose.yaml starts, for real: Prefect with a password on Postgres and Redis, a worker, a run."""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from configs.settings import Settings
from flows.laptop import free_port, process, wait_healthy
from flows.setup import set_up
from tests.deploy.debian import PASSWORD, postgres, redis
from tests.flows.server import start, wait

AUTH = ("flywheel", "another-password-of-the-test")
COMPOSE: dict[str, Any] = yaml.safe_load(Path("deploy/compose.yaml").read_text())


def environment(folder: Path, database: str, broker: str, port: int) -> dict[str, str]:
    """What compose.yaml tells its containers, with the addresses and secrets of this test."""
    values = {"PREFECT_AUTH": ":".join(AUTH), "FLYWHEEL_SECRET": "key-of-the-test"}
    values |= {"POSTGRES_PASSWORD": PASSWORD, "REDIS_PASSWORD": PASSWORD}
    places = {
        "@postgres/": f"@{database}/",
        "@redis:6379": f"@{broker}",
        "http://server:4200": f"http://127.0.0.1:{port}",
    }
    found = {}
    for name, text in {**COMPOSE["x-server"], **COMPOSE["x-secrets"]}.items():
        found[name] = re.sub(r"\$\{(\w+):\?[^}]*\}", lambda match: values[match[1]], text)
        for there, here in places.items():
            found[name] = found[name].replace(there, here)
    prefect = {
        "PREFECT_HOME": str(folder),
        "PREFECT_SERVER_API_PORT": str(port),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }
    return {**os.environ, **found, **prefect}


def command(service: str) -> list[str]:
    """What a service runs, listening on the loopback only; without the word `prefect`."""
    return [word.replace("0.0.0.0", "127.0.0.1") for word in COMPOSE["services"][service]["command"][1:]]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The addresses of Prefect and of its database; a worker of the pool cpu is at work."""
    folder = tmp_path_factory.mktemp("served")
    with ExitStack() as stack:
        database = stack.enter_context(postgres())
        broker = stack.enter_context(redis(folder))
        port = free_port()
        told = environment(folder, database, broker, port)
        with process(command("migrate"), told, folder / "migrate.log") as migration:
            assert migration.wait(180) == 0, (folder / "migrate.log").read_text()
        server = stack.enter_context(process(command("server"), told, folder / "server.log"))
        stack.enter_context(process(command("services"), told, folder / "services.log"))
        wait_healthy(f"http://127.0.0.1:{port}/api/health", server, folder / "server.log")
        set_up(told)
        stack.enter_context(process(command("worker-cpu"), told, folder / "worker.log"))
        yield f"http://127.0.0.1:{port}/api", database


@pytest.mark.slow
def test_a_run_completes_on_postgres_and_redis(served: tuple[str, str], tmp_path: Path) -> None:
    address, database = served
    settings = Settings(lake=str(tmp_path / "lake"))
    with httpx.Client(base_url=address, auth=AUTH, timeout=60) as api:
        maintain = api.get("/deployments/name/maintain/maintain").raise_for_status().json()
        run = start(api, maintain["id"], settings)
        state = wait(api, run, seconds=180)
    assert state["type"] == "COMPLETED", state["message"]
    ended = "select id from flow_run where state_type = 'COMPLETED'"
    query = ["psql", f"postgresql://prefect:{PASSWORD}@{database}/prefect", "-At", "-c", ended]
    assert subprocess.run(query, capture_output=True, text=True, check=True).stdout.split() == [run]


@pytest.mark.slow
@pytest.mark.parametrize("auth", [None, ("flywheel", "wrong")])
def test_nobody_is_let_in_without_the_password(served: tuple[str, str], auth: tuple[str, str] | None) -> None:
    address, _ = served
    assert httpx.post(f"{address}/deployments/filter", json={}, auth=auth, timeout=60).status_code == 401
