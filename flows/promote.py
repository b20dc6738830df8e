"""Promotion by a person: of a model that waits for approval, of any other one by hand, and the way back."""

import logging
from typing import Literal

from prefect import flow
from prefect.exceptions import ObjectNotFound
from prefect.flow_runs import suspend_flow_run
from prefect.input import RunInput
from pydantic import Field

from configs.settings import Settings
from flows.artifacts import evidence_text
from flows.remote import start
from storage import verdicts
from storage.lake import Lake
from storage.verdicts import Decision
from tasks.promote import by_hand
from tasks.promote.rollout import follow

log = logging.getLogger(__name__)


class Approval(RunInput):
    """The form in the Prefect UI."""

    decision: Literal["promote", "decline"] = Field(description="Whether this model shall serve.")
    name: str = Field(min_length=1, description="Who you are, for the history.")
    reason: str = Field(min_length=1, description="Why, for the history.")


@flow(name="approve", flow_run_name="approve {model} in {settings.lake}")
def approve(settings: Settings, model: str) -> str:
    """Ask a person, by a form that shows the evidence, whether a model that is proven better shall serve.

    The run is suspended until then and takes no worker. A run starts it by itself where promote.approval is set.

    Args:
        settings: the flywheel's settings.
        model: id of the model that waits.

    Returns:
        The verdict: promote, decline or, if the served model does not work, rollback.

    Raises:
        PromotionError: the model does not wait, or not any more.
    """
    lake = Lake(settings.lake)
    waiting = verdicts.waiting(lake)
    if model not in waiting:
        raise by_hand.PromotionError(f"{model} does not wait for approval; see `flywheel status {settings.lake}`.")
    batch, decision = waiting[model]
    form = Approval.with_initial_data(description=evidence_text(batch, decision))
    said = suspend_flow_run(wait_for_input=form, timeout=round(settings.promote.approval_hours * 3600), key=batch)
    if said.decision == "decline":
        return by_hand.decline(lake, model, said.name, said.reason).verdict
    return promote(lake, settings, model, said.name, said.reason).verdict


def ask(settings: Settings, model: str) -> None:
    """Start the flow that asks; where there is no such deployment, as in a terminal, say how to decide."""
    by_command = f'`flywheel promote CONFIG {model} "why"` approves, with --decline it turns it down'
    parameters = {"settings": settings.model_dump(mode="json"), "model": model}
    try:
        key = f"approve {Lake(settings.lake).path('models', model)}"
        name = start("approve/approve", parameters, key, as_subflow=False).name
    except ObjectNotFound:
        log.warning("promote: %s waits for a person: %s", model, by_command)
    else:
        log.warning("promote: %s waits for a person: resume the run %s in the UI; or %s", model, name, by_command)


def promote(lake: Lake, settings: Settings, model: str, who: str, reason: str) -> Decision:
    """Make a model the champion, and see to what follows; see `tasks.promote.by_hand.approve`.

    Returns:
        The promotion, or the rollback if the served model does not work.
    """
    decision = by_hand.approve(lake, model, who, reason, settings.promote.smoke)
    return follow(lake, decision, settings.serve, settings.promote.smoke)


def rollback(lake: Lake, settings: Settings, who: str, reason: str, to: str | None) -> Decision:
    """Let a former champion serve again, and tell the hooks; see `storage.verdicts.rollback`."""
    decision = verdicts.rollback(lake, f"Rolled back by {who}: {reason}", to=to)
    return follow(lake, decision, settings.serve, settings.promote.smoke)
