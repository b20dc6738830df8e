"""A real server and a real worker: a night is cancelled, the next one dies with its worker and is retried.

They share a lake, so that the second one has only the training left to do. At the end no secret of the environment is
in anything that server, worker and runs left.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from configs.settings import Settings
from flows.guard import guard
from flows.laptop import free_port, laptop, process
from flows.notify import VARIABLE as WEBHOOK
from storage.lake import SECRET_VARIABLE, Lake
from tests.e2e.marker import places_with
from tests.flows.server import client, start, wait
from tests.flows.small import small_settings
from tests.processes import left

pytestmark = pytest.mark.slow
SILENCE = 35
"""Seconds: a run says every 30 that it lives."""
FINISHED = ("interactions", "signatures", "duplicates", "scrubbed", "splits", "curated", "mixtures")
SECRETS = {
    SECRET_VARIABLE: "secret-of-the-hashes",
    WEBHOOK: "http://127.0.0.1:9/secret-of-the-webhook",
    "FLYWHEEL_API_KEY": "secret-of-the-model-server",
    "AWS_SECRET_ACCESS_KEY": "secret-of-the-store",
}


@dataclass(frozen=True)
class Production:
    """What `make ui` starts, and the settings of its nights.

    Args:
        api: of the server.
        folder: where all of it lies.
        settings: of a night that trains for a moment.
        services: what ends with the module.
    """

    api: httpx.Client
    folder: Path
    settings: Settings
    services: ExitStack

    def night(self, steps: int) -> str:
        """Start a night that trains for so many steps; the id of its run once its training has a process."""
        sft = self.settings.train.sft.model_copy(update={"max_steps": steps})
        train = self.settings.train.model_copy(update={"sft": sft})
        deployment = self.api.get("/deployments/name/nightly/nightly").raise_for_status().json()["id"]
        run = start(self.api, deployment, self.settings.model_copy(update={"train": train}))
        deadline = time.monotonic() + 200
        while not self.trainers():
            assert time.monotonic() < deadline, self.api.get(f"/flow_runs/{run}").json()["state"]
            time.sleep(0.2)
        return run

    def worker(self) -> psutil.Process:
        """The one of the pool cpu; other tests of this process have theirs."""
        (found,) = (
            one
            for one in psutil.Process().children(recursive=True)
            if "worker start --pool cpu" in command(one)
            and one.environ()["PREFECT_HOME"] == str(self.folder / "prefect")
        )
        return found

    def trainers(self) -> list[int]:
        """The processes of its runs that train."""
        runs = self.worker().children(recursive=True)
        return [one.pid for one in runs if "tasks.train.worker" in command(one)]

    def set_state(self, run: str, kind: str, name: str) -> None:
        """What the buttons of the UI do."""
        answer = self.api.post(f"/flow_runs/{run}/set_state", json={"state": {"type": kind, "name": name}})
        assert answer.raise_for_status().json()["status"] == "ACCEPT"


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Iterator[Production]:
    folder = tmp_path_factory.mktemp("production")
    small = small_settings(folder, tiny_model, stages=("sft",))
    quick = {
        "synthesize": small.synthesize.model_copy(update={"enabled": False}),
        "score": small.score.model_copy(update={"perplexity": False, "reward": False}),
    }
    with ExitStack() as services:
        with pytest.MonkeyPatch.context() as patch:
            for name, secret in SECRETS.items():
                patch.setenv(name, secret)
            address = services.enter_context(laptop(folder / "prefect", free_port()))
        api = services.enter_context(client(address))
        yield Production(api, folder, small.model_copy(update=quick), services)


def command(process: psutil.Process) -> str:
    """Its command line; nothing where it has ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def below(worker: psutil.Process) -> list[int]:
    """The runs of a worker, and all that they started."""
    return [one.pid for one in worker.children(recursive=True)]


def test_a_cancelled_night_leaves_no_process(production: Production) -> None:
    run = production.night(steps=100_000)
    family = below(production.worker())
    production.set_state(run, "CANCELLING", "Cancelling")
    wait(production.api, run, seconds=60, until={"CANCELLED"})
    assert not left(family, 30)


def test_a_night_that_died_with_its_worker_is_marked_and_goes_on_where_it_was(production: Production) -> None:
    guard({"PREFECT_API_URL": str(production.api.base_url)}, silence=SILENCE)
    lake = Lake(production.settings.lake)
    run = production.night(steps=2)
    worker, trainers = production.worker(), production.trainers()
    family, again, told = below(worker), worker.cmdline(), worker.environ()
    for pid in {worker.pid, *family} - set(trainers):
        os.kill(pid, signal.SIGKILL)
    assert not left(family)  # the training died with the night
    before = {table.name: table.version for table in lake.status()}

    log = production.folder / "prefect" / "worker-again.log"
    production.services.enter_context(process(again[3:], told, log))
    wait(production.api, run, seconds=SILENCE + 60, until={"CRASHED"})
    production.set_state(run, "SCHEDULED", "AwaitingRetry")
    state = wait(production.api, run, seconds=200)
    assert state["type"] == "COMPLETED", state["message"]
    after = {table.name: table.version for table in lake.status()}
    assert {name: after[name] for name in FINISHED} == {name: before[name] for name in FINISHED}
    assert lake.read("runs", step="finish").collect().height == 1
    assert lake.read("evaluations").collect().height


def test_no_secret_is_in_what_they_left(production: Production) -> None:
    """Parameters and logs lie in Prefect's database, in the folder `prefect`; the rest is lakes and log files."""
    assert places_with("nightly on", production.folder), "what is in the database is not found in its files"
    found = {name: places_with(secret, production.folder) for name, secret in SECRETS.items()}
    assert not any(found.values()), found
