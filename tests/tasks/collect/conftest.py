"""Fixtures of the tests of collect."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from storage.lake import Lake
from tests.tasks.collect.collectors import MAX_REQUEST_BYTES, Forks


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    """Starts collectors."""
    started = Forks()
    yield started
    started.close()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


@pytest.fixture
def sender(forks: Forks, lake: Lake) -> Iterator[httpx.Client]:
    """A client of a collector of `lake`."""
    with (
        forks.collector(lake, {"max_request_bytes": MAX_REQUEST_BYTES}) as address,
        httpx.Client(base_url=address) as client,
    ):
        yield client
