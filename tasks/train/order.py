"""In which order examples are read: random, yet so that a batch holds examples of about equal length.

The order is worked out before training, for all passes, and the trainer follows it: a training that was killed reads
the same rows again, and hardly a token of a batch is padding.
"""

import logging
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from configs.settings import StageSettings
from tasks.train.devices import world

log = logging.getLogger(__name__)
Indices = np.ndarray[Any, np.dtype[np.int64]]
POOL = 50
"""Batches whose examples are sorted by length together: fewer are more random, more have less padding."""
AUTO = ((100, 15.0), (1_000, 10.0), (10_000, 2.0))
"""Rows and passes over them that suit LoRA; in between, and beyond, by the logarithm of the rows."""


def epochs(settings: StageSettings, rows: int, examples: int) -> float:
    """Passes over the examples that rows became: by the number of steps, as set, or by how many rows there are."""
    if settings.max_steps > 0:
        step = settings.rows_per_batch * settings.gradient_accumulation_steps * world()
        return settings.max_steps * step / examples
    if settings.num_train_epochs != "auto":
        return settings.num_train_epochs
    sizes, passes = zip(*((math.log(size), count) for size, count in AUTO), strict=True)
    chosen = round(float(np.interp(math.log(rows), sizes, passes)), 1)
    log.info("num_train_epochs auto: %g passes over %s rows", chosen, f"{rows:,}")
    return chosen


def reading_order(lengths: Sequence[int], batch: int, passes: float, seed: int) -> list[int]:
    """Indices of examples in the order they are trained on, `passes` times over.

    Each pass is shuffled anew. The very first example is the longest: memory that does not suffice fails at the
    first step, not in the night.

    Args:
        lengths: tokens of each example.
        batch: examples of a batch.
        passes: times through all examples; the last pass may be a part of one.
        seed: the order follows from it.
    """
    random = np.random.default_rng(seed)
    sizes = np.asarray(lengths)
    total = max(round(len(lengths) * passes), 1)
    order: list[int] = []
    left: list[int] = []  # what does not fill a batch of its pass: read at the end, so that batches stay whole
    while len(order) + len(left) < total:
        part = random.permutation(len(sizes))[: total - len(order) - len(left)]
        full = len(part) // batch * batch
        order += _batches(part[:full], sizes, batch, random)
        left += part[full:].tolist()
    order += left
    longest = int(np.argmax(sizes[order]))
    order[0], order[longest] = order[longest], order[0]
    return order


def _batches(shuffled: Indices, sizes: Indices, batch: int, random: np.random.Generator) -> list[int]:
    """Sort pools of batches by length, then shuffle the batches."""
    pools = [shuffled[start : start + POOL * batch] for start in range(0, len(shuffled), POOL * batch)]
    batches = [pool[np.argsort(sizes[pool], kind="stable")].reshape(-1, batch) for pool in pools]
    return random.permutation(np.concatenate(batches)).reshape(-1).tolist() if batches else []
