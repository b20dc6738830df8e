"""Work that another work pool does: this run waits for runs of a deployment."""

import time
from collections.abc import Mapping
from typing import Any, cast
from uuid import UUID

from prefect import get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound

from configs.mistake import Mistake

POLL_SECONDS = 2.0


class RemoteError(Mistake):
    """A run of a deployment could not be started, or failed."""


def run_elsewhere(deployment: str, work: Mapping[str, Mapping[str, Any]]) -> None:
    """Run a deployment for each piece of work, all at once, and wait for their end.

    What runs for a piece of work already is waited for instead of started twice. Where a run for it has ended, it
    failed, or what it made is gone: another one is started.

    Args:
        deployment: FLOW/DEPLOYMENT.
        work: the parameters of the flow by a key that names what it is to make.

    Raises:
        RemoteError: there is no such deployment, or a run did not complete.
    """
    try:
        runs = [start(deployment, parameters, key) for key, parameters in work.items()]
    except ObjectNotFound as error:
        raise RemoteError(
            f"Prefect has no deployment {deployment}: `flywheel deploy` makes it; or let this run do its work (set "
            "train.deployments to false, synthesize.shards to 1)."
        ) from error
    ended = [(run, _final_state(run.id)) for run in runs]
    if failed := [f"{run.name} as {state.name}: {state.message}" for run, state in ended if not state.is_completed()]:
        raise RemoteError(f"{len(failed)} of {len(runs)} runs of {deployment} did not complete: {'; '.join(failed)}")


def start(deployment: str, parameters: Mapping[str, Any], key: str, *, as_subflow: bool = True) -> FlowRun:
    """The run of a deployment that works for a key: one that goes on already, or another one.

    Raises:
        ObjectNotFound: there is no such deployment.
    """
    attempt = key
    while True:
        started = run_deployment(
            deployment, parameters=dict(parameters), idempotency_key=attempt, timeout=0, as_subflow=as_subflow
        )
        run = cast("FlowRun", started)  # a coroutine only where an event loop runs
        if run.state is None or not run.state.is_final():
            return run
        attempt = f"{key}/{run.id}"


def _final_state(run: UUID) -> State[Any]:
    with get_client(sync_client=True) as client:
        while True:
            state = client.read_flow_run(run).state
            if state is not None and state.is_final():
                return state
            time.sleep(POLL_SECONDS)
