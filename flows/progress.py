"""Progress of long steps as artifacts on the run's page in the Prefect UI."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from re import sub
from threading import Lock
from typing import cast
from uuid import UUID

import httpx
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.context import FlowRunContext
from prefect.exceptions import PrefectException

from storage.progress import Progress, listening

log = logging.getLogger(__name__)
_taken = Lock()


@contextmanager
def progress_artifacts() -> Iterator[None]:
    """While it lasts, every long work of this process has a progress artifact of its own, named by its label.

    In a flow that another one calls, its caller shows them already; without a flow there is no page to show them on.
    """
    if FlowRunContext.get() is None or not _taken.acquire(blocking=False):
        yield
        return
    known: dict[str, UUID] = {}

    def show(now: Progress) -> None:
        percent = 100.0 * now.done / max(now.total, 1)
        try:
            if now.label in known:
                update_progress_artifact(known[now.label], percent, str(now))
            else:
                made = create_progress_artifact(percent, key=_key(now.label), description=str(now))
                known[now.label] = cast("UUID", made)  # it is a coroutine in async code only
        except (httpx.HTTPError, PrefectException) as error:  # a server that is away must not end the work
            log.debug("no progress artifact: %s", error)

    try:
        with listening(show):
            yield
    finally:
        _taken.release()


def _key(label: str) -> str:
    """An artifact's key: lower-case letters, figures and dashes."""
    return "progress-" + sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")
