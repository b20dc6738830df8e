"""Methods: their defaults, what they refuse, and that a training that was killed goes on the same by each of them."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file

from tasks.lm.load import UNMERGED
from tasks.train import arguments, training
from tasks.train.job import TrainingError
from tasks.train.launch import measured_in
from tasks.train.methods import METHODS
from tasks.train.report import StepReport
from tests.tasks.train.cells import Models, cell, make_models
from tests.tiny_model import make_tiny_model


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    return make_models(tmp_path_factory.mktemp("models"))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """All that was saved: of the model, and beside it."""
    files = sorted(folder.glob("*.safetensors")) + sorted((folder / UNMERGED).glob("*.safetensors"))
    return {f"{file.name}:{name}": value for file in files for name, value in load_file(file).items()}


def test_bitfit_without_biases_is_refused_instead_of_training_nothing(tmp_path: Path, models: Models) -> None:
    plain = make_tiny_model(tmp_path / "plain", hidden=32, layers=1)
    job = cell(tmp_path / "cell", models, "sft", "bitfit").model_copy(update={"model": str(plain)})
    with pytest.raises(TrainingError, match="bitfit trains biases, and LlamaForCausalLM has none"):
        training.train(job)


def test_more_layers_than_there_are_cannot_be_trained(tmp_path: Path, models: Models) -> None:
    with pytest.raises(TrainingError, match="freeze_trainable_layers is 9, but the model has 2 layers"):
        training.train(cell(tmp_path / "cell", models, "sft", "freeze", freeze_trainable_layers=9))


def test_the_default_learning_rate_suits_stage_and_method(tmp_path: Path, models: Models) -> None:
    rates = {}
    for stage, method in (("sft", "lora"), ("dpo", "lora"), ("sft", "prompt")):
        job = cell(tmp_path / f"{stage}-{method}", models, stage, method, learning_rate=None)
        training.train(job)
        rates[stage, method] = measured_in(job.output)["learning_rate"]
    assert rates == {("sft", "lora"): 2e-4, ("dpo", "lora"): pytest.approx(2e-5), ("sft", "prompt"): 3e-2}
    assert METHODS["full"].learning_rate < METHODS["lora"].learning_rate < METHODS["ia3"].learning_rate


@pytest.mark.parametrize("method", ["adalora", "ia3", "adapter", "prefix", "p_tuning", "bitfit"])
def test_a_training_that_was_killed_goes_on_the_same(
    tmp_path: Path, models: Models, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """LoRA is killed in earnest elsewhere; here a training fails after two of its four checkpoints."""
    whole = cell(tmp_path / "whole", models, "sft", method, max_steps=4)
    training.train(whole)
    killed = cell(tmp_path / "killed", models, "sft", method, max_steps=4)
    with monkeypatch.context() as patched:
        patched.setattr(StepReport, "on_log", _fail_at_step_three)
        with pytest.raises(KeyboardInterrupt):
            training.train(killed)
    training.train(killed)
    assert measured_in(killed.output)["losses"] == measured_in(whole.output)["losses"]
    once, again = weights(whole.output), weights(killed.output)
    assert once.keys() == again.keys()
    assert all(torch.equal(once[name], again[name]) for name in once)


def _fail_at_step_three(_: Any, args: Any, state: Any, control: Any, **given: Any) -> None:
    if state.global_step == 3:
        raise KeyboardInterrupt


def test_adalora_gives_ranks_to_where_they_matter(tmp_path: Path, models: Models) -> None:
    job = cell(tmp_path / "cell", models, "sft", "adalora", max_steps=12, learning_rate=0.05)
    training.train(job)
    adapter = load_file(job.output / "adapter" / "adapter_model.safetensors")
    ranks = [value.shape[0] for name, value in adapter.items() if "lora_A" in name]
    assert len(set(ranks)) > 1
    assert sum(ranks) == job.settings.lora_r * len(ranks)


def test_learned_prompts_learn_although_large_models_would_be_computed_twice(
    tmp_path: Path, models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gradient checkpointing switches off the cache, through which a learned prefix passes."""
    monkeypatch.setattr(arguments, "LARGE", 1)
    for method in ("prefix", "lora"):
        job = cell(tmp_path / method, models, "sft", method)
        training.train(job)
        first, second = (loss for _, loss in measured_in(job.output)["losses"])
        assert second < first
    asked = {"trainer_args": [{"name": "gradient_checkpointing", "value": True}]}
    with pytest.raises(TrainingError, match="gradient_checkpointing would leave prefix untrained"):
        training.train(cell(tmp_path / "asked", models, "sft", "prefix", **asked))


def test_an_adapter_beside_rounded_weights_is_trained_in_full_precision(tmp_path: Path, models: Models) -> None:
    job = cell(tmp_path / "cell", models, "sft", "qlora")
    training.train(job)
    adapter = load_file(job.output / "adapter" / "adapter_model.safetensors")
    assert {value.dtype for value in adapter.values()} == {torch.float32}
    assert isinstance(PeftModel.from_pretrained(training.load_trainable(job.model), job.output / "adapter"), PeftModel)
