"""One tiny model for the tests of this folder."""

import pytest

from tasks.lm.load import LanguageModel, load
from tests.tiny_model import make_tiny_model


@pytest.fixture(scope="session")
def lm(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    return load(make_tiny_model(tmp_path_factory.mktemp("lm") / "model"))
