"""What a person decides: about a model that waits for approval, or about any other one."""

from collections.abc import Sequence
from datetime import UTC, datetime

from configs.mistake import Mistake
from configs.settings import SmokePrompt
from storage import registry, verdicts
from storage.lake import Lake
from storage.verdicts import Decision
from tasks.promote import smoke

BY_HAND = "hand-"
"""How the batch of a decision begins that no run asked for."""


class PromotionError(Mistake):
    """A model that cannot become champion, or about which nothing is to be decided; the message says why."""


def approve(lake: Lake, model: str, who: str, reason: str, prompts: Sequence[SmokePrompt]) -> Decision:
    """Make a model the champion: one that waits, against the champion that it beat; any other one without evidence.

    Args:
        lake: where it is registered.
        model: its id.
        who: decides this.
        reason: why, for the history.
        prompts: what it must answer first.

    Raises:
        LakeError: no such model, its weights are gone, or another model became champion meanwhile.
        PromotionError: it is no language model, serves already, or does not answer a smoke prompt as it should.
    """
    found = registry.get(lake, model)
    if found.kind != "lm":
        raise PromotionError(
            f"{model} is a {found.kind} model, and cannot answer anybody; `flywheel status` lists them."
        )
    current = verdicts.champion(lake)
    if current == model:
        raise PromotionError(f"{model} is the champion already.")
    if faults := smoke.in_process(lake, found, prompts):
        raise PromotionError(f"{model} was not promoted. {' '.join(faults)}")
    batch, waited = verdicts.waiting(lake).get(model, (_batch(), None))
    if waited is not None:
        said = f"Approved by {who}: {reason}"
        decision = Decision(model, waited.champion, "promote", [said, *waited.reasons], waited.evidence)
    else:
        decision = Decision(model, current, "promote", [f"Promoted by hand by {who}: {reason}"])
    verdicts.decide(lake, decision, batch=batch)
    return decision


def decline(lake: Lake, model: str, who: str, reason: str) -> Decision:
    """Turn down a model that waits; the champion stays.

    Raises:
        PromotionError: it does not wait.
    """
    waiting = verdicts.waiting(lake)
    if model not in waiting:
        names = ", ".join(waiting) or "none"
        raise PromotionError(f"{model} does not wait for approval; models that do: {names}.")
    batch, waited = waiting[model]
    reasons = [f"Declined by {who}: {reason}", *waited.reasons]
    decision = Decision(model, waited.champion, "decline", reasons, waited.evidence)
    verdicts.decide(lake, decision, batch=batch)
    return decision


def _batch() -> str:
    """Every decision by hand is one of its own."""
    return f"{BY_HAND}{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
