"""What Flywheel needs on a Prefect server. `flywheel deploy` and `make ui` set it up, as often as they like."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from configs.mistake import Mistake
from flows.guard import guard

HOME = Path(__file__).resolve().parent.parent
POOLS = ("cpu", "gpu")
PoolType = Literal["process", "kubernetes"]
TEMPLATES: dict[PoolType, list[str]] = {
    "process": [],
    "kubernetes": ["--base-job-template", "deploy/kubernetes/job-template.json"],
}


class SetupError(Mistake):
    """The Prefect server refused something, or cannot be reached."""


def set_up(environment: Mapping[str, str], pool_type: PoolType = "process", gpus: int = 1) -> None:
    """Create, or bring up to date, work pools, every deployment of deploy/prefect.yaml, and what guards runs.

    Args:
        environment: with PREFECT_API_URL and, if the server asks for it, PREFECT_API_AUTH_STRING.
        pool_type: where runs are to work: as processes of the workers, or as jobs of a Kubernetes cluster.
        gpus: slots for trainings on GPUs, over all workers.

    Raises:
        SetupError: with Prefect's own words.
    """
    at_home = {"FLYWHEEL_HOME": str(HOME), **environment}
    for pool in POOLS:
        _prefect(["work-pool", "create", pool, "--type", pool_type, *TEMPLATES[pool_type], "--overwrite"], at_home)
    _prefect(["deploy", "--all", "--prefect-file", "deploy/prefect.yaml"], at_home)
    guard(environment, gpus)


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
