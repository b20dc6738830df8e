"""What follows when the champion pointer moved: hooks are told, and the served model must answer its smoke prompts.

Everything is done by what the lake says and noted there, so whoever was killed is carried on by the next one.
"""

import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path

from configs.settings import Hook, ServeSettings, SmokePrompt
from storage import registry, rollouts, verdicts
from storage.lake import Lake
from storage.verdicts import Decision
from tasks.inference.endpoint import served
from tasks.inference.engine import EngineError
from tasks.promote import hooks, smoke

log = logging.getLogger(__name__)


def follow(lake: Lake, decision: Decision, settings: ServeSettings, prompts: Sequence[SmokePrompt]) -> Decision:
    """Do what is still to be done about the newest move of the champion pointer.

    Hooks are told first: they may be what brings the model to where it is served. If it does not answer there, the
    pointer goes back, and the hooks are told of that, too.

    Args:
        lake: where the pointer is.
        decision: the move that somebody just made.
        settings: who is told, and where the champion is served.
        prompts: what it must answer there.

    Returns:
        `decision`, or the rollback that took it back: one of this function or of `flywheel serve`.
    """
    tell_all(lake, settings.hooks)
    move = verdicts.last_move(lake)
    if move is not None and settings.url is not None and _unserved(lake, *move):
        decision_id, model = move[0], move[1].model
        if faults := _served(lake, decision_id, model, settings, prompts):
            roll_back(lake, decision_id, model, faults, settings.hooks)
    newest = verdicts.last_move(lake)
    if newest is not None and newest[1].verdict == "rollback" and newest[1].champion == decision.model:
        return newest[1]
    return decision


def roll_back(
    lake: Lake, decision_id: str, model: str, faults: Sequence[str], wanted: Sequence[Hook]
) -> Decision | None:
    """Let the former champion serve again because the new one does not, and tell the hooks.

    Returns:
        The rollback; None where the pointer moved on already.
    """
    rollouts.record(lake, decision_id, model, rollouts.SERVED, ok=False, said=" ".join(faults))
    back = verdicts.withdraw(lake, decision_id, f"{model} does not work where it is served. {' '.join(faults)}")
    if back is not None:
        log.error("promote: %s serves again instead of %s: %s", back.model, model, " ".join(faults))
        tell_all(lake, wanted)
    return back


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
            log.warning("promote: the hook %s %s; the next run tells it again", what, error)
            rollouts.record(lake, decision_id, decision.model, what, ok=False, said=str(error))
        else:
            log.info("promote: told %s of %s", what, decision.model)
            rollouts.record(lake, decision_id, decision.model, what, ok=True)


def _unserved(lake: Lake, decision_id: str, decision: Decision) -> bool:
    """Whether nobody saw yet that a new champion answers; the first model of a lake replaces nobody."""
    newcomer = decision.verdict == "promote" and decision.champion is not None
    return newcomer and rollouts.SERVED not in rollouts.done(lake, decision_id)


def _served(
    lake: Lake, decision_id: str, model: str, settings: ServeSettings, prompts: Sequence[SmokePrompt]
) -> list[str]:
    """What is wrong with the champion where it is served; waits until it answers, or is champion no more.

    That it does not get there is not the model's fault: it is noted, and does not make the pointer go back. One that is
    there and gives no answers until the time is over does: a server that is being restarted may fail for a while.
    """
    url, key = str(settings.url).rstrip("/"), os.environ.get(settings.key_variable)
    folder = Path(registry.get(lake, model).path)
    deadline = time.monotonic() + settings.start_timeout
    there, said = False, ""
    while time.monotonic() < deadline:
        if verdicts.champion(lake) != model:
            return []
        try:
            if model in served(url, key):
                there = True
                faults = smoke.over_http(url, model, key, folder, prompts, settings)
                if not faults:
                    log.info("promote: %s is served at %s", model, url)
                    rollouts.record(lake, decision_id, model, rollouts.SERVED, ok=True, said=url)
                return faults
            said = "other models are served there"
        except EngineError as error:
            said = str(error)
        time.sleep(settings.poll_seconds)
    if there:
        return [f"It was there, but gave no answers in {settings.start_timeout:g} s; at last: {said}"]
    log.error("promote: %s is not served at %s after %g s: %s", model, url, settings.start_timeout, said)
    rollouts.record(lake, decision_id, model, rollouts.SERVED, ok=False, said=f"not at {url}: {said}")
    return []
