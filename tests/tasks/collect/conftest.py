"""Fixtures of the tests of collect."""

from collections.abc import Iterator

import pytest

from tests.tasks.collect.collectors import Forks


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    """Starts collectors."""
    started = Forks()
    yield started
    started.close()
