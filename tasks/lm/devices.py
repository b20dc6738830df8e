"""Work on batches, on every device that there is: each has a copy of the model, and takes the next batch when free."""

import copy
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

import torch

from storage.progress import progress
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
    """Each batch with what `work` makes of it, in the order in which they are done.

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
    waiting: queue.SimpleQueue[list[int] | None] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[list[int], T] | BaseException] = queue.SimpleQueue()
    for batch in batches:
        waiting.put(batch)

    def serve(mine: LanguageModel) -> None:
        try:
            with torch.inference_mode():
                while (batch := waiting.get()) is not None:
                    done.put((batch, work(mine, batch)))
        except BaseException as error:  # noqa: BLE001 - handed to who waits for the result
            done.put(error)

    copies = [lm, *(replace(lm, model=copy.deepcopy(lm.model).to(place)) for place in places[1:])]
    threads = [threading.Thread(target=serve, args=(mine,), daemon=True) for mine in copies]
    for thread in threads:
        waiting.put(None)
        thread.start()
    for _ in batches:
        result = done.get()
        if isinstance(result, BaseException):
            raise result
        yield result
    for thread in threads:
        thread.join()
