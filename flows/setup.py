"""What Flywheel needs on a Prefect server. `flywheel deploy` and `make ui` set it up, as often as they like."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import httpx
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.exceptions import ObjectNotFound
from prefect.workers.process import ProcessWorker

from configs.mistake import Mistake
from flows.guard import guard, server

HOME = Path(__file__).resolve().parent.parent
POOLS = ("cpu", "gpu")
PoolType = Literal["process", "kubernetes"]
TEMPLATES: Mapping[PoolType, Callable[[], dict[str, Any]]] = {
    "process": ProcessWorker.get_default_base_job_template,
    "kubernetes": lambda: json.loads((HOME / "deploy/kubernetes/job-template.json").read_text()),
}
"""What a run is made of in a pool of each type."""


class SetupError(Mistake):
    """The Prefect server refused something, or cannot be reached."""


def set_up(environment: Mapping[str, str], pool_type: PoolType = "process", gpus: int = 1) -> None:
    """Create, or bring up to date, work pools, every deployment of deploy/prefect.yaml, and what guards runs.

    Args:
        environment: with PREFECT_API_URL and, if the server asks for it, PREFECT_API_AUTH_STRING; FLYWHEEL_IMAGE, the
            name of the images of jobs without their tag (by default flywheel); FLYWHEEL_WEBHOOK, see `guard`.
        pool_type: where runs are to work: as processes of the workers, or as jobs of a Kubernetes cluster.
        gpus: slots for trainings on GPUs, over all workers.

    Raises:
        SetupError: with Prefect's own words.
    """
    told = {"FLYWHEEL_HOME": str(HOME), "FLYWHEEL_IMAGE": "flywheel", **environment}
    try:
        with server(told) as client:
            for pool in POOLS:
                _set_up_pool(client, pool, pool_type)
        _prefect(["deploy", "--all", "--prefect-file", "deploy/prefect.yaml"], told)
        guard(told, gpus)
    except httpx.HTTPError as error:
        raise SetupError(f"The Prefect server of PREFECT_API_URL ({told['PREFECT_API_URL']}): {error}") from error


def _set_up_pool(client: SyncPrefectClient, pool: str, pool_type: PoolType) -> None:
    """What else was set in a pool that is there already, a pause or a limit, is a person's and stays."""
    template = TEMPLATES[pool_type]()
    try:
        found = client.read_work_pool(pool).type
    except ObjectNotFound:
        client.create_work_pool(WorkPoolCreate(name=pool, type=pool_type, base_job_template=template))
        return
    if found != pool_type:
        raise SetupError(
            f"The work pool {pool} is there already, of type {found}, not {pool_type}: choose that one with --pools, "
            f"or remove the pool with `prefect work-pool delete {pool}`."
        )
    client.update_work_pool(pool, WorkPoolUpdate(base_job_template=template))


def _prefect(arguments: list[str], environment: Mapping[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", *arguments],
        env=dict(environment),
        cwd=HOME,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SetupError(f"prefect {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
