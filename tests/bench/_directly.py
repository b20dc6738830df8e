"""Flows and tasks without Prefect: what is left is what the pipeline itself does, and costs."""

import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from prefect import Flow, Task

from flows.train import FLOWS


@contextmanager
def called_directly(seconds: defaultdict[str, float]) -> Iterator[None]:
    """Every flow and task is the plain function that it wraps, and nothing is said to Prefect.

    Args:
        seconds: gets the time that each task takes, by name.
    """
    with ExitStack() as stack:
        for name, module in list(sys.modules.items()):
            if not name.startswith(("flows.", "tasks.")):
                continue
            for attribute, value in list(vars(module).items()):
                if isinstance(value, Flow):
                    stack.enter_context(patch.object(module, attribute, value.fn))
                elif isinstance(value, Task):
                    stack.enter_context(patch.object(module, attribute, _timed(value, seconds)))
        stack.enter_context(patch.dict("flows.train.FLOWS", {name: flow.fn for name, flow in FLOWS.items()}))
        stack.enter_context(patch("flows.nightly.publish_artifacts", lambda *_: None))
        yield


def _timed(task: Task[..., Any], seconds: defaultdict[str, float]) -> Callable[..., Any]:
    def timed(*args: Any, **named: Any) -> Any:
        start = time.monotonic()
        try:
            return task.fn(*args, **named)
        finally:
            seconds[task.name] += time.monotonic() - start

    return timed
