"""What a person decides: approval and its refusal, and promotion without evidence."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from configs.settings import MaintainSettings, SmokePrompt
from storage.lake import Lake, LakeError
from storage.maintain import maintain
from storage.registry import Model, register
from storage.verdicts import Decision, champion, decide, promotions, rollback, waiting
from tasks.promote.by_hand import PromotionError, approve, decline
from tests.tiny_model import make_tiny_model


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def lake(tmp_path: Path, weights: Path) -> Lake:
    """A champion, and a model that waits for approval."""
    found = Lake(str(tmp_path / "lake"))
    for name in ("old", "new", "other"):
        shutil.copytree(weights, found.folder("models") / name)
        register(found, Model(name, "lm", "sft", found.path("models", name), "t"), batch="0")
    register(found, Model("judge", "reward", "reward", str(found.folder("models", "judge")), "t"), batch="0")
    (found.local("models", "judge") / "config.json").touch()
    decide(found, Decision("old", None, "promote", ["The first one."]), batch="0")
    decide(found, Decision("new", "old", "wait", ["Better."], {"metrics": []}), batch="1")
    return found


def test_an_approved_model_serves_with_its_evidence_and_who_approved(lake: Lake) -> None:
    approve(lake, "new", "Ann", "Reads well.", ())
    row = promotions(lake).row(-1, named=True)
    assert champion(lake) == "new"
    assert (row["batch"], row["verdict"]) == ("1", "promote")
    assert row["reasons"] == ["Approved by Ann: Reads well.", "Better."]
    assert not waiting(lake)


def test_a_declined_one_is_recorded_and_waits_no_more(lake: Lake) -> None:
    decision = decline(lake, "new", "Ann", "Too chatty.")
    assert decision.reasons[0] == "Declined by Ann: Too chatty."
    assert promotions(lake)["verdict"].to_list() == ["promote", "wait", "decline"]
    assert champion(lake) == "old"
    with pytest.raises(PromotionError, match="new does not wait for approval; models that do: none"):
        decline(lake, "new", "Ann", "Again.")


def test_any_model_can_be_promoted_by_hand_again_and_again(lake: Lake) -> None:
    for _ in range(2):
        decision = approve(lake, "other", "Bob", "We need it.", ())
        assert decision.reasons == ["Promoted by hand by Bob: We need it."]
        assert champion(lake) == "other"
        rollback(lake, "No.")
    assert champion(lake) == "old"


def test_who_waits_is_kept_and_who_was_overtaken_waits_no_more(lake: Lake) -> None:
    assert list(waiting(lake)) == ["new"]
    maintain(lake, MaintainSettings(model_days=0))
    assert lake.local("models", "new").is_dir()
    approve(lake, "other", "Bob", "We need it.", ())
    assert not waiting(lake)


def test_what_cannot_serve_is_refused(lake: Lake) -> None:
    shutil.rmtree(lake.local("models", "other"))
    away = replace(Model("away", "lm", "base", "/no/such/folder", "t"))
    register(lake, away, batch="0")
    for name, words in {
        "old": "is the champion already",
        "judge": "is a reward model",
        "other": "were removed by `flywheel maintain`",
        "away": "are not in /no/such/folder any more",
        "nobody": "No model nobody",
    }.items():
        with pytest.raises((PromotionError, LakeError), match=words):
            approve(lake, name, "Ann", "Why not.", ())
    assert champion(lake) == "old"


def test_a_model_that_fails_a_smoke_prompt_is_refused(lake: Lake) -> None:
    impossible = SmokePrompt(prompt="Hello!", expect="I am a model of random weights")
    with pytest.raises(PromotionError, match=r"new was not promoted.* answer to the smoke prompt"):
        approve(lake, "new", "Ann", "Why not.", [impossible])
    assert champion(lake) == "old"
