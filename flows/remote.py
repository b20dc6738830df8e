"""Work that another work pool does: this run waits for a run of a deployment."""

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


def run_elsewhere(deployment: str, parameters: Mapping[str, Any], key: str) -> None:
    """Run a deployment and wait for its end; one that runs for the same key is waited for instead of started twice.

    Args:
        deployment: FLOW/DEPLOYMENT.
        parameters: of the flow.
        key: names the work. Where a run for it has ended already, it failed, or what it made is gone: another one is
            started.

    Raises:
        RemoteError: there is no such deployment, or the run did not complete.
    """
    try:
        run = start(deployment, parameters, key)
    except ObjectNotFound as error:
        raise RemoteError(
            f"train.deployments is on, and Prefect has no deployment {deployment}: `flywheel deploy` makes it; "
            "or set train.deployments to false."
        ) from error
    state = _final_state(run.id)
    if not state.is_completed():
        raise RemoteError(f"The run {run.name} of {deployment} ended as {state.name}: {state.message}")


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
