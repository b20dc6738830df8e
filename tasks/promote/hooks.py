"""Telling others of a new champion: a command gets JSON on its standard input, a webhook gets it posted.

Where the environment has the hook's key, the header X-Flywheel-Signature is `sha256=` and the hexadecimal HMAC-SHA256
of the body. X-Flywheel-Delivery is the id of the verdict: who is told twice, after a crash, knows by it.
"""

import hashlib
import hmac
import json
import os
import signal
import subprocess
import time
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import httpx

from configs.settings import Hook
from storage.evidence import Evidence
from storage.verdicts import Decision

TRIES = 3
WAIT = 1.0  # seconds; doubles with every try
QUOTED = 200  # characters of what a hook said


class HookError(Exception):
    """A hook that did not do what it should; the message says what came back."""


def payload(lake: str, decision_id: str, decision: Decision, folder: str) -> dict[str, Any]:
    """What hooks are told; never a text of a user.

    Args:
        lake: its address.
        decision_id: names the verdict.
        decision: promote or rollback.
        folder: where the model lies.
    """
    return {
        "event": decision.verdict,
        "decision": decision_id,
        "lake": lake,
        "model": decision.model,
        "folder": folder,
        "instead_of": decision.champion,
        "reasons": list(decision.reasons),
        "metrics": Evidence.from_dict(decision.evidence).to_dict()["metrics"],
    }


def name(hook: Hook) -> str:
    """What a hook is called: its program, or its host; arguments and paths may hold secrets."""
    return f"command {hook.command[0]}" if hook.command else f"webhook {urlsplit(hook.webhook or '').hostname}"


def tell(hook: Hook, message: dict[str, Any]) -> None:
    """Run or post a hook.

    Raises:
        HookError: it failed, or took too long.
    """
    body = json.dumps(message).encode()
    if hook.command:
        _run(hook, body)
    else:
        _post(hook, body, str(message["decision"]))


def _run(hook: Hook, body: bytes) -> None:
    """The command has a session of its own, so that none of its children outlives its time."""
    try:
        process = subprocess.Popen(
            hook.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise HookError(f"cannot be started: {error.strerror}") from error
    try:
        _, said = process.communicate(body, timeout=hook.timeout)
    except subprocess.TimeoutExpired as error:
        raise HookError(f"did not end within {hook.timeout:g} s") from error
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.returncode:
        last = said.decode(errors="replace").strip().splitlines()[-1:]
        raise HookError(f"ended with status {process.returncode}: {' '.join(last)[:QUOTED]}")


def _post(hook: Hook, body: bytes, delivery: str) -> None:
    headers = {"content-type": "application/json", "X-Flywheel-Delivery": delivery}
    if key := os.environ.get(hook.secret_variable):
        headers["X-Flywheel-Signature"] = f"sha256={hmac.new(key.encode(), body, hashlib.sha256).hexdigest()}"
    said = ""
    for turn in range(TRIES):
        if turn:
            time.sleep(WAIT * 2 ** (turn - 1))
        try:
            answer = httpx.post(hook.webhook or "", content=body, headers=headers, timeout=hook.timeout)
        except httpx.TransportError as error:
            said = f"cannot be reached ({type(error).__name__})"
            continue
        if answer.is_success:
            return
        said = f"answered {answer.status_code}"
        if answer.status_code < 500 and answer.status_code != 429:
            break
    raise HookError(said)
