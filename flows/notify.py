"""Notifications: a line to a webhook when a run fails, and when a challenger is held, rejected or promoted.

The address is a secret (who has it can write to the channel), so it comes from the environment only and is neither a
parameter nor logged; of runs that died without a word Prefect tells it (`flows/guard.py`). The body is
`{"text": ...}`, which Slack, Mattermost, Google Chat and Teams workflows take.
"""

import logging
import os
from typing import TYPE_CHECKING

import httpx

from configs.mistake import Mistake

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun, State
    from prefect.flows import Flow

log = logging.getLogger(__name__)
VARIABLE = "FLYWHEEL_WEBHOOK"
SECONDS = 10.0


def notify(text: str) -> bool:
    """Post a line to the webhook of the environment, if there is one; that it cannot be reached stops nothing.

    Returns:
        Whether it was taken.
    """
    address = os.environ.get(VARIABLE)
    if not address:
        return False
    try:
        httpx.post(address, json={"text": text}, timeout=SECONDS).raise_for_status()
    except httpx.HTTPError as error:  # its words hold the address
        log.warning("notify: the webhook of %s did not take it (%s)", VARIABLE, type(error).__name__)
        return False
    return True


def notify_end(flow: "Flow[..., object]", flow_run: "FlowRun", state: "State[object]") -> None:
    """A hook of flows: says that a run failed, crashed or was cancelled. Of what went wrong only our own words are
    passed on: others may hold users' texts."""
    error = getattr(state.data, "result", state.data)  # Prefect wraps what the flow raised into a record
    why = f": {error}" if isinstance(error, Mistake) else ""
    notify(f"Flywheel: {flow.name} {state.name.lower() if state.name else 'ended'} ({flow_run.name}){why}")
