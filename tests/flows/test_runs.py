"""Which champion a run starts from, when others change it meanwhile."""

from dataclasses import replace
from pathlib import Path

import pytest

from configs.load import parse
from configs.settings import Settings
from flows.runs import current
from storage import registry
from storage.lake import Lake
from storage.verdicts import Decision, decide
from tests.rows import write

BATCH = "0001-aaaaaaaa"


@pytest.fixture
def settings(tmp_path: Path, tiny_model: Path) -> Settings:
    lake = str(tmp_path / "lake")
    write(Lake(lake), "sources", BATCH, [{"id": "1", "source": "app", "uri": "a", "start": 0, "end": 1}])
    return parse({"lake": lake, "model_name_or_path": str(tiny_model)}, "the test's settings")


def promoted(settings: Settings, name: str, batch: str) -> str:
    """The champion before, after a copy of it became champion by the run of some batch."""
    lake = Lake(settings.lake)
    run = current(lake, settings)
    assert run is not None
    registry.register(lake, replace(run.champion, id=name, parent=run.champion.id), batch=batch)
    decide(lake, Decision(name, run.champion.id, "promote", ["It is better."]), batch=batch)
    return run.champion.id


def test_a_run_goes_on_from_the_champion_that_it_replaced_itself(settings: Settings) -> None:
    before = promoted(settings, "own", BATCH)
    run = current(Lake(settings.lake), settings)
    assert run is not None
    assert run.champion.id == before


def test_a_run_starts_anew_from_a_champion_that_another_run_made(settings: Settings) -> None:
    promoted(settings, "another", "0002-bbbbbbbb")
    run = current(Lake(settings.lake), settings)
    assert run is not None
    assert run.champion.id == "another"
    assert promoted(settings, "own", BATCH) == "another"
    again = current(Lake(settings.lake), settings)
    assert again is not None
    assert again.champion.id == "another"  # still the same start
