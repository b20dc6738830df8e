"""A tiny model, an empty lake, and a way to run a method."""

import pytest

from configs.settings import SynthesizeSettings
from storage.lake import Lake
from tasks.inference.client import Client
from tasks.inference.journal import open_journal
from tasks.synthesize.methods import METHODS
from tests.tasks.synthesize.scripted import SEEDS
from tests.tiny_model import make_tiny_model


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory) -> str:
    return str(make_tiny_model(tmp_path_factory.mktemp("model") / "tiny"))


@pytest.fixture
def lake(tmp_path) -> Lake:
    return Lake(str(tmp_path / "lake"))


@pytest.fixture
def run(tmp_path):
    """Run a method: its name and engine in, its results out."""
    with open_journal(tmp_path) as journal:

        def make(name, engine, count=6, seeds=SEEDS, **changes):
            wanted, method = METHODS[name]
            settings = SynthesizeSettings(**{wanted: count, "translate_to": ("de",)} | changes)
            return list(method(seeds, count, settings, Client(engine, journal), 17))

        yield make
