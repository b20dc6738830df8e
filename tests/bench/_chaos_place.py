"""A small production to be shot at: Prefect's server, a worker, the collector, each to be killed and brought back."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from subprocess import STDOUT, Popen
from typing import Any
from uuid import uuid4

import httpx
import psutil

from configs.settings import Settings
from flows.laptop import environment, free_port, wait_healthy
from flows.setup import HOME
from tests.bench import _chaos_night, _chaos_trainer
from tests.flows.server import FINAL

POOL = "chaos"
LOST = "LOST"
"""The state that we give a run whose processes are gone without a word; in production `flows.guard` marks it."""
PATIENCE = 1200.0
SILENCE = 30
"""Looks at a run, half a second apart, at which no process of it is found, until it counts as lost."""
SETTLED = 5.0
"""Seconds that a worker may take to report how a process ended, which would undo an earlier retry."""


class Place:
    """Server, worker and collector of one lake.

    Args:
        folder: where all of it lies.
        settings: of the nights.
    """

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder, self.settings = folder, settings
        self.address = f"http://127.0.0.1:{free_port()}"
        self.collector = f"http://127.0.0.1:{free_port()}"
        quick = {"PREFECT_WORKER_QUERY_SECONDS": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
        self.told = environment(folder / "prefect", self.address) | quick | {"PYTHONPATH": str(HOME)}
        self.config = folder / "settings.json"  # JSON is YAML, too
        self.config.write_text(settings.model_dump_json())
        (folder / "prefect").mkdir()
        self.up: dict[str, Popen[bytes]] = {}
        self.api = httpx.Client(base_url=f"{self.address}/api", timeout=60)

    def __enter__(self) -> "Place":
        try:
            self.start("server")
            self._deploy()
            self.start("worker")
            self.start("collector")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for one, _line in self._ours():
            with suppress(psutil.NoSuchProcess):
                one.kill()
        for child in self.up.values():
            child.wait()

    def start(self, name: str) -> None:
        """Start the server, the worker or the collector, and wait until it answers."""
        commands: Mapping[str, list[str]] = {
            "server": ["prefect", "server", "start"],
            "worker": ["prefect", "worker", "start", "--pool", POOL, "--type", "process"],
            "collector": ["flows.cli", "collector", str(self.config), "--port", self.collector.rpartition(":")[2]],
        }
        log = self.folder / f"{name}.log"
        with log.open("ab") as out:
            child = self.up[name] = Popen(
                [sys.executable, "-m", *commands[name]],
                env=self.told, cwd=HOME, stdout=out, stderr=STDOUT, start_new_session=True,
            )  # fmt: skip
        health = {"server": f"{self.address}/api/health", "collector": f"{self.collector}/healthz"}
        if name in health:
            wait_healthy(health[name], child, log)

    def mend(self) -> None:
        """Bring back what is down, as systemd, compose or Kubernetes would."""
        for name, child in list(self.up.items()):
            if child.poll() is not None:
                self.start(name)

    def kill(self, name: str) -> bool:
        """kill -9 of what has this name; whether it was there. Of the model server only the first process is shot at:
        what it started is for others to put away."""
        found = self.processes(name)
        for one in found[:1] if name == "vLLM" else found:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        if name in self.up:
            self.up[name].wait()
        return bool(found)

    def processes(self, name: str) -> list[psutil.Process]:
        """What runs under this name, of this place only, oldest first."""
        return sorted((one for one, line in self._ours() if WHO[name](line)), key=psutil.Process.create_time)

    def wait_for(self, name: str, run: str) -> bool:
        """Whether something under this name comes up before the run has ended."""
        while not (found := self.processes(name)) and self.state(run) not in FINAL:
            time.sleep(0.1)
        return bool(found)

    def left(self, seconds: float) -> list[str]:
        """Of runs that have ended: the command lines of what does not go away within some time."""
        deadline = time.monotonic() + seconds
        while found := [line for _, line in self._ours() if any(WHO[name](line) for name in OF_A_RUN)]:
            if time.monotonic() > deadline:
                break
            time.sleep(0.5)
        return found

    def _ours(self) -> Iterator[tuple[psutil.Process, str]]:
        for one in psutil.process_iter():
            with suppress(psutil.Error):
                if one.environ().get("PREFECT_HOME") == self.told["PREFECT_HOME"]:
                    yield one, " ".join(one.cmdline())

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The server's answer, after more tries where it is locked or coming up."""
        for pause in (1, 2, 4, 8, 16, 0):
            try:
                return dict(self.api.request(method, path, json=body).raise_for_status().json())
            except httpx.HTTPError:
                if not pause:
                    raise
                time.sleep(pause)
        raise AssertionError

    def night(self) -> str:
        """Begin a night by the server; the id of its run."""
        body = {"parameters": {"settings": self.settings.model_dump(mode="json")}, "idempotency_key": str(uuid4())}
        return str(self.ask("POST", f"/deployments/{self.deployment}/create_flow_run", body)["id"])

    def state(self, run: str) -> str:
        """Of a run, in the server's word."""
        return str(self.ask("GET", f"/flow_runs/{run}")["state"]["type"])

    def retried(self, run: str) -> str:
        """The state in which a run ends that is retried, as the button in the UI does it."""
        time.sleep(SETTLED)
        body = {"state": {"type": "SCHEDULED", "name": "AwaitingRetry"}, "force": True}
        self.ask("POST", f"/flow_runs/{run}/set_state", body)
        return self.ended(run)

    def message(self, run: str) -> str:
        """What the server knows about the state of a run."""
        return f"{self.ask('GET', f'/flow_runs/{run}')['state']['message']} See {self.folder}."

    def ended(self, run: str) -> str:
        """The state in which a run ended."""
        deadline = time.monotonic() + PATIENCE
        quiet = 0
        while (state := self.state(run)) not in FINAL:
            quiet = 0 if state == "SCHEDULED" or self.processes("flow") else quiet + 1
            if quiet > SILENCE:
                crashed = {"state": {"type": "CRASHED", "name": "Crashed"}, "force": True}
                self.ask("POST", f"/flow_runs/{run}/set_state", crashed)
                return LOST
            if time.monotonic() > deadline:
                raise RuntimeError(f"The run {run} did not end within {PATIENCE:.0f} s; see {self.folder}.")
            time.sleep(0.5)
        return state

    def _deploy(self) -> None:
        """A pool, and a deployment of the night without models."""
        self.ask("POST", "/work_pools/", {"name": POOL, "type": "process"})
        body = {
            "name": "chaos",
            "flow_id": self.ask("POST", "/flows/", {"name": "chaos"})["id"],
            "entrypoint": f"{_chaos_night.__name__}:night",
            "work_pool_name": POOL,
            "pull_steps": [{"prefect.deployments.steps.set_working_directory": {"directory": str(HOME)}}],
            "enforce_parameter_schema": False,
        }
        self.deployment = self.ask("POST", "/deployments/", body)["id"]


WHO: Mapping[str, Callable[[str], bool]] = {
    "server": lambda line: "server start" in line or "prefect.server" in line,
    "worker": lambda line: "worker start" in line,
    "collector": lambda line: "flows.cli collector" in line,
    "flow": lambda line: "flow_engine" in line or "prefect.engine" in line or "flow-run execute" in line,
    "trainer": lambda line: _chaos_trainer.__name__ in line,
    "vLLM": lambda line: "fake_server.py" in line and "supervise" not in line,
    "supervisor": lambda line: "supervise" in line,
}
OF_A_RUN = ("flow", "trainer", "vLLM", "supervisor")
