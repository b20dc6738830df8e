"""Every stage with every method on a tiny model: it trains just what it should, and is saved as it was trained."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from peft import PeftModel

from configs.settings import StageSettings
from configs.training import STAGES as STAGE_SETTINGS
from tasks.lm.classify import load_classifier
from tasks.lm.load import UNMERGED, UnmergedError, load
from tasks.train import training
from tasks.train.job import TrainingError
from tasks.train.launch import measured_in
from tasks.train.methods import METHODS
from tasks.train.rules import LEARNED_PROMPTS
from tasks.train.stages import STAGES
from tasks.train.weights import load_trainable
from tests.tasks.train.cells import IDS, Models, cell, make_models

REFUSED = {
    **{(stage, "pissa"): "the reference would lack them" for stage in ("dpo", "kto", "grpo", "rloo")},
    **{("reward", method): "cannot be merged" for method in ("adapter", "prefix", "prompt", "p_tuning")},
}
OWN = {"freeze": "model.layers.1.", "bitfit": ".bias", "full": ""}
"""What the names of weights have in common that a method trains; of the others, layers get something merged in."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    return make_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def before(models: Models) -> Mapping[str, torch.Tensor]:
    state: Mapping[str, torch.Tensor] = load_trainable(str(models.parent)).state_dict()
    return state


@pytest.fixture
def left(monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """What the model says as the trainer left it, before it is saved."""
    seen: list[torch.Tensor] = []
    original = training.save

    def keep(trained: Any, *rest: Any, **options: Any) -> None:
        seen.append(logits(trained))
        original(trained, *rest, **options)

    monkeypatch.setattr(training, "save", keep)
    return seen


def logits(model: Any) -> torch.Tensor:
    """What the model says; of a learned prompt itself, nothing."""
    with torch.no_grad():
        found: torch.Tensor = model.eval()(IDS).logits
    return found[:, -IDS.shape[1] :]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("stage", STAGES)
def test_stage_by_method(
    tmp_path: Path, models: Models, before: Mapping[str, torch.Tensor], left: Any, stage: str, method: str
) -> None:
    job = cell(tmp_path / "cell", models, stage, method)
    if (stage, method) in REFUSED:
        refused = job.model_copy(update={"model": "nowhere", "data": "nothing"})  # before anything is loaded
        with pytest.raises(TrainingError, match=f"{stage} cannot be trained .* {method}: .*{REFUSED[stage, method]}"):
            training.train(refused)
        return
    training.train(job)
    measured = measured_in(job.output)
    assert measured["steps"] == 2
    assert measured["trainable_parameters"] > 0

    after = load_trainable(str(job.output), STAGES[stage].task)
    state = after.state_dict()
    names = {name for name in before if name in state and not torch.equal(before[name], state[name])}
    assert set(state) - set(before) == ({"score.weight"} if stage == "reward" else set())
    if (job.output / UNMERGED).exists():
        assert not names  # the weights are the parent's
        said = beside(job.output, method)
        assert not torch.allclose(said, logits(after), atol=1e-4)
    else:
        assert names
        assert all(OWN.get(method, "_proj.weight") in name for name in names)
        assert method != "full" or any("embed" in name for name in names)
        said = logits(after)
    if method == "qlora":  # trained beside rounded weights, merged into exact ones
        torch.testing.assert_close(said, left[0], atol=0.2, rtol=0.2)
        parent = load_trainable(str(models.parent), STAGES[stage].task)
        left[0] = logits(PeftModel.from_pretrained(parent, job.output / "adapter"))
    torch.testing.assert_close(said, left[0], atol=2e-4, rtol=1e-4)
    if stage == "reward":
        assert logits(load_classifier(str(job.output)).model).shape == (2, 1)


def beside(folder: Path, method: str) -> torch.Tensor:
    """What a model says with what was trained beside its weights."""
    if method not in LEARNED_PROMPTS:
        return logits(load(folder).model)
    with pytest.raises(UnmergedError, match=r"was trained beside its weights"):
        load(folder)
    return logits(PeftModel.from_pretrained(load_trainable(str(folder)), folder / UNMERGED))


def test_the_settings_offer_just_what_there_is() -> None:
    assert set(get_args(StageSettings.model_fields["finetuning_type"].annotation)) == set(METHODS)
    assert set(STAGE_SETTINGS) == set(STAGES)
