"""Two threads on a model this small wait for each other most of the time."""

import gc
from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True, scope="module")
def _few_objects_to_visit() -> Iterator[None]:
    """Each trainer collects garbage when it is done: a second, where it has to visit all that was imported."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
