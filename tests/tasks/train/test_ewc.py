"""Elastic weight consolidation: what it takes for important is the Fisher information, and that stays where it was."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import TrainerControl, TrainerState, TrainingArguments

from tasks.train import training
from tasks.train.ewc import HoldWeights, fisher
from tasks.train.job import Job, TrainingError
from tasks.train.launch import measured_in
from tasks.train.weights import load_trainable
from tests.tasks.train.cells import IDS, Models, make_models, settings_for
from tests.tasks.train.jobs import make_job, sums

HELD = "model.norm.weight"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    return make_models(tmp_path_factory.mktemp("models"))


def job_for(folder: Path, models: Models, **changes: Any) -> Job:
    rows = [row | {"replay": number % 2 == 1} for number, row in enumerate(sums(12))]
    return make_job(folder, models.parent, "sft", rows, settings_for(models, "sft", "full", **changes))


def test_fisher_is_the_expected_square_of_gradients(models: Models) -> None:
    """Exactly worked out over all tokens that could come next, against draws of them."""
    model = load_trainable(str(models.parent)).eval()
    row = [int(token) for token in IDS[0, :3]]
    chances = model(torch.tensor([row[:2]])).logits[0, -1].log_softmax(-1)
    each = torch.eye(len(chances))
    (slopes,) = torch.autograd.grad(chances, model.get_parameter(HELD), each, is_grads_batched=True)
    expected = (chances.exp()[:, None] * slopes.square()).sum(0).detach()
    found = fisher(model, [(row, [False, False, True])] * 200, seed=1)[HELD]
    assert float(found.sum()) == pytest.approx(float(expected.sum()), rel=0.15)
    assert float(torch.corrcoef(torch.stack([found, expected]))[0, 1]) > 0.9
    assert all(weights.grad is None for weights in model.parameters())


def test_the_stronger_it_holds_the_nearer_weights_stay(tmp_path: Path, models: Models) -> None:
    before = load_trainable(str(models.parent)).state_dict()
    moved = []
    for strength in (0, 10, 10_000):
        job = job_for(tmp_path / str(strength), models, ewc_lambda=strength, max_steps=8, learning_rate=1e-3)
        training.train(job)
        after = load_trainable(str(job.output)).state_dict()
        moved.append(sum(float((after[name] - before[name]).square().sum()) for name in before))
    assert moved[0] > moved[1] > moved[2]


def test_the_pull_is_clipped_with_the_gradient_that_it_works_against() -> None:
    """Clipped by itself, a gradient of norm 76 would be 1 beside a pull of 30."""
    model = torch.nn.Linear(2, 1, bias=False)
    held = HoldWeights(model, {"weight": torch.tensor([[0.0, 3.0]])}, strength=10.0, longest=1.0)
    with torch.no_grad():
        model.weight += torch.tensor([[0.0, 1.0]])
    model.weight.grad = torch.tensor([[30.0, -70.0]])
    held.on_pre_optimizer_step(TrainingArguments(), TrainerState(), TrainerControl())
    torch.testing.assert_close(model.weight.grad, torch.tensor([[0.6, -0.8]]))


def test_general_rows_may_only_say_what_to_hold(tmp_path: Path, models: Models) -> None:
    for replay, strength, rows in ((True, 1, 12), (False, 1, 6), (False, 0, 12)):
        job = job_for(tmp_path / f"{replay}{strength}", models, ewc_lambda=strength, ewc_replay=replay)
        training.train(job)
        assert measured_in(job.output)["rows"] == rows


def test_without_general_rows_there_is_nothing_to_hold(tmp_path: Path, models: Models) -> None:
    job = job_for(tmp_path / "cell", models, ewc_lambda=1)
    rows = [row | {"replay": False} for row in sums(4)]
    job = make_job(tmp_path / "rows", models.parent, "sft", rows, job.settings)
    with pytest.raises(TrainingError, match=r"the mixture has none: give it a source"):
        training.train(job)
