"""The chat template's way from the settings to the models of a lake, and what stops a run."""

from pathlib import Path

import pytest

from configs.load import parse
from configs.settings import Settings
from flows.runs import base_model, current
from storage import registry
from storage.lake import Lake
from tasks.lm.load import load_tokenizer
from tasks.lm.named import named_template
from tasks.lm.template import TemplateError
from tests.rows import write
from tests.tiny_model import make_tiny_model

BATCH = "0001-aaaaaaaa"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    model = make_tiny_model(tmp_path / "model")
    tree = {"lake": str(tmp_path / "lake"), "model_name_or_path": str(model), "template": "zephyr"}
    write(Lake(tree["lake"]), "sources", BATCH, [{"id": "1", "source": "app", "uri": "a", "start": 0, "end": 1}])
    return parse(tree, "the test's settings")


def test_the_first_champion_has_the_named_template_and_its_own_folder(settings: Settings) -> None:
    lake = Lake(settings.lake)
    run = current(lake, settings)
    assert run is not None
    assert Path(run.champion.path).parent == Path(lake.path("models"))
    assert load_tokenizer(run.champion.path).chat_template == named_template("zephyr")
    own = base_model(lake, settings.model_copy(update={"template": "own"}))
    assert own.path == settings.model_name_or_path
    assert own.template_hash != run.champion.template_hash
    assert base_model(lake, settings) == registry.get(lake, run.champion.id)


def test_a_template_that_was_changed_in_the_folder_stops_the_run(settings: Settings) -> None:
    run = current(Lake(settings.lake), settings)
    assert run is not None
    with (Path(run.champion.path) / "chat_template.jinja").open("a") as file:
        file.write("Bye.")
    with pytest.raises(TemplateError, match=r"is not the one that base-.* was trained with"):
        current(Lake(settings.lake), settings)


def test_another_template_in_the_settings_than_the_champion_has_stops_the_run(settings: Settings) -> None:
    lake = Lake(settings.lake)
    current(lake, settings)
    with pytest.raises(TemplateError, match=r"serves with another chat template .*\(alpaca, .*begin another lake"):
        current(lake, settings.model_copy(update={"template": "alpaca"}))
