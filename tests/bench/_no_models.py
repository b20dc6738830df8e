"""A night without models: what is left is what the pipeline, or its orchestration, costs."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest.mock import patch

import polars as pl

from configs.settings import EvaluateSettings
from tasks.evaluate.answers import ANSWERED
from tasks.evaluate.items import ANSWERS, LOSSES, PAIRS
from tasks.evaluate.score import score_rows
from tests.bench._copied import copy_parent, generation

BETTER = 0.98
"""The loss of a model over that of its parent."""


@contextmanager
def no_models() -> Iterator[None]:
    """Training copies its parent, and evaluation finds every model a little better than its parent."""
    with ExitStack() as stack:
        stack.enter_context(patch("tasks.train.task.run", copy_parent))
        stack.enter_context(patch("tasks.evaluate.task.load", Path))
        stack.enter_context(patch("tasks.evaluate.task.score", _score))
        yield


def _score(model: Path, items: pl.DataFrame, _: EvaluateSettings, *, seed: int, label: str) -> pl.DataFrame:
    """What `tasks.evaluate.score.score` returns: the loss on answers falls with every training, all else stays."""
    holdout, general = LOSSES
    values = {holdout: 3.0 * BETTER ** generation(model), general: 3.0, PAIRS: 0.5}
    made = [_rows(items.filter(metric=metric), metric, value) for metric, value in values.items()]
    said = json.dumps({"prompt": "?", "answer": "All is well.", "finished": True})
    answers = _rows(items.filter(metric=ANSWERS), ANSWERED, 8.0).with_columns(output=pl.lit(said))
    return pl.concat([*made, answers])


def _rows(items: pl.DataFrame, metric: str, value: float) -> pl.DataFrame:
    """Scores with a little noise, which is the item's own and so the same for every model."""
    noise = (items["item"].hash(seed=1) % 1000) / 1e5
    return score_rows(metric, items["item"], value + noise, 1.0)
