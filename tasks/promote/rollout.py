"""What follows when the champion pointer moved: hooks are told, and the served model must answer its smoke prompts.

Everything is done by what the lake says and noted there, so whoever was killed is carried on by the next one.
"""

import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path

import httpx

from configs.settings import Hook, ServeSettings, SmokePrompt
from storage import registry, rollouts, verdicts
from storage.lake import Lake
from storage.verdicts import Decision
from tasks.inference.template import template_fault
from tasks.promote import hooks, smoke

log = logging.getLogger(__name__)


def follow(lake: Lake, settings: ServeSettings, prompts: Sequence[SmokePrompt]) -> Decision | None:
    """Do what is still to be done about the newest move of the champion pointer.

    Hooks are told first: they may be what brings the model to where it is served. If it does not answer there, the
    pointer goes back, and the hooks are told of that, too.

    Args:
        lake: where the pointer is.
        settings: who is told, and where the champion is served.
        prompts: what it must answer there.

    Returns:
        The rollback, if there was one.
    """
    move = verdicts.last_move(lake)
    if move is None or move[1].champion is None:  # the first model of a lake replaces nobody
        return None
    decision_id, decision = move
    tell_all(lake, settings.hooks)
    if settings.url is None or decision.verdict != "promote" or rollouts.SERVED in rollouts.done(lake, decision_id):
        return None
    if not (faults := _served(lake, decision_id, decision.model, settings, prompts)):
        return _rolled_back(lake, decision.model)
    back = roll_back(lake, decision_id, decision.model, faults)
    if back is not None:
        follow(lake, settings, prompts)
    return back


def roll_back(lake: Lake, decision_id: str, model: str, faults: Sequence[str]) -> Decision | None:
    """Let the former champion serve again because the new one does not; None where the pointer moved on already."""
    rollouts.record(lake, decision_id, model, rollouts.SERVED, ok=False, said=" ".join(faults))
    back = verdicts.withdraw(lake, decision_id, f"{model} does not work where it is served. {' '.join(faults)}")
    if back is not None:
        log.error("promote: %s serves again instead of %s: %s", back.model, model, " ".join(faults))
    return back


def _rolled_back(lake: Lake, model: str) -> Decision | None:
    """The rollback of a champion by somebody else, such as `flywheel serve`, if it is the newest move."""
    move = verdicts.last_move(lake)
    return move[1] if move and move[1].verdict == "rollback" and move[1].champion == model else None


def tell_all(lake: Lake, wanted: Sequence[Hook]) -> None:
    """Tell the hooks of the newest move that do not know of it; one that fails is noted, and told by the next run."""
    move = verdicts.last_move(lake)
    if move is None or move[1].champion is None or not wanted:
        return
    decision_id, decision = move
    known = rollouts.done(lake, decision_id)
    message = hooks.payload(lake.uri, decision_id, decision, registry.known(lake, decision.model).path)
    for number, hook in enumerate(wanted, 1):
        what = f"{number}. {hooks.name(hook)}"
        if what in known:
            continue
        try:
            hooks.tell(hook, message)
        except hooks.HookError as error:
            log.error("promote: the hook %s %s; the next run tells it again", what, error)  # noqa: TRY400  # no traceback
            rollouts.record(lake, decision_id, decision.model, what, ok=False, said=str(error))
        else:
            log.info("promote: told %s of %s", what, decision.model)
            rollouts.record(lake, decision_id, decision.model, what, ok=True)


def _served(
    lake: Lake, decision_id: str, model: str, settings: ServeSettings, prompts: Sequence[SmokePrompt]
) -> list[str]:
    """What is wrong with the champion's answers where it is served; waits until it is there, or is champion no more.

    That it does not get there is not the model's fault: it is noted, and does not make the pointer go back.
    """
    url, key = str(settings.url).rstrip("/"), os.environ.get(settings.key_variable)
    deadline = time.monotonic() + settings.start_timeout
    said = ""
    while time.monotonic() < deadline:
        if verdicts.champion(lake) != model:
            return []
        try:
            if model in _names(url, key):
                faults = smoke.over_http(url, model, key, prompts, settings.start_timeout)
                if fault := template_fault(url, model, key, Path(registry.get(lake, model).path)):
                    faults.append(fault)
                if not faults:
                    log.info("promote: %s is served at %s", model, url)
                    rollouts.record(lake, decision_id, model, rollouts.SERVED, ok=True, said=url)
                return faults
            said = "other models are served there"
        except httpx.HTTPError as error:
            said = f"{type(error).__name__}: {error}"
        time.sleep(settings.poll_seconds)
    log.error("promote: %s is not served at %s after %g s: %s", model, url, settings.start_timeout, said)
    rollouts.record(lake, decision_id, model, rollouts.SERVED, ok=False, said=f"not at {url}: {said}")
    return []


def _names(url: str, key: str | None) -> set[str]:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    listed = httpx.get(f"{url}/models", headers=headers, timeout=10).raise_for_status().json()
    return {str(one["id"]) for one in listed["data"]}
