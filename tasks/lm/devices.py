"""Work on batches, on every device that there is: each has a copy of the model, and takes the next batch when free."""

import copy
import queue
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

import torch

from storage.progress import progress
from tasks.engine.spread import spread
from tasks.lm.load import LanguageModel

T = TypeVar("T")


def devices(lm: LanguageModel) -> list[torch.device]:
    """Where a model can be calculated: on all GPUs if it lies on one, else where it lies."""
    if lm.device.type != "cuda":
        return [lm.device]
    return [torch.device("cuda", at) for at in range(torch.cuda.device_count())]


def each_batch(
    lm: LanguageModel, batches: Sequence[list[int]], work: Callable[[LanguageModel, list[int]], T], label: str
) -> Iterator[tuple[list[int], T]]:
    """Each batch with what `work` makes of it.

    Args:
        lm: the model.
        batches: positions of rows.
        work: from a model and a batch to a result; called in a thread per device when there are several.
        label: what the progress line says.
    """
    places = devices(lm)[: len(batches)]
    if len(places) < 2:
        for batch in progress(batches, len(batches), label, "batches"):
            yield batch, work(lm, batch)
        return
    yield from progress(_shared_out(lm, places, batches, work), len(batches), label, "batches")


def _shared_out(
    lm: LanguageModel,
    places: Sequence[torch.device],
    batches: Sequence[list[int]],
    work: Callable[[LanguageModel, list[int]], T],
) -> Iterator[tuple[list[int], T]]:
    idle: queue.SimpleQueue[LanguageModel] = queue.SimpleQueue()
    for mine in [lm, *(replace(lm, model=copy.deepcopy(lm.model).to(place)) for place in places[1:])]:
        idle.put(mine)

    def calculated(batch: list[int]) -> tuple[list[int], T]:
        mine = idle.get()
        try:
            with torch.inference_mode():
                return batch, work(mine, batch)
        finally:
            idle.put(mine)

    yield from spread(calculated, batches, engine="local", threads=len(places))
