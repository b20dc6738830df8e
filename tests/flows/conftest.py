"""Flow tests share a tiny model, and what `make ui` starts."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from flows.laptop import free_port, laptop
from tests.flows.server import client
from tests.tiny_model import make_tiny_model


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a server with workers and every deployment."""
    with laptop(tmp_path_factory.mktemp("prefect"), free_port()) as found:
        yield found


@pytest.fixture
def api(address: str) -> Iterator[httpx.Client]:
    with client(address) as asked:
        yield asked
