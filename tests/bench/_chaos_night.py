"""What the worker runs in the chaos benchmark: the nightly flow, its trainer one that learns nothing."""

import sys
from collections.abc import Callable
from unittest.mock import patch

from prefect import flow

from configs.settings import Settings
from flows.nightly import flywheel
from tasks.train import launch
from tasks.train.job import Job
from tests.bench import _chaos_trainer
from tests.bench._no_models import no_models

GRACE = 1.0
"""Seconds that the model server has to end by itself: a process of the fake never does."""


@flow(name="chaos", persist_result=False)
def night(settings: Settings) -> str | None:
    """A night whose trainer and model server are started, watched and ended as always, but are no real ones.

    Returns:
        The batch that it worked on; None when nothing was new.
    """
    watch = launch._watch

    def watch_ours(job: Job, command: list[str], told: Callable[[launch.Figures], None] | None) -> int:
        return watch(job, [sys.executable, "-m", _chaos_trainer.__name__, command[-1]], told)

    with (
        no_models(),
        patch.object(launch, "_watch", watch_ours),
        patch("tasks.train.task.run", launch.run),
        patch("tasks.inference.server.GRACE", GRACE),
    ):
        return flywheel(settings).batch
