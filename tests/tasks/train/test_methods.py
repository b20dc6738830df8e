"""Every stage with every method on a tiny model: it trains just what it should, and is saved as it was trained."""

import json
import os
from pathlib import Path
from typing import Any, get_args

import polars as pl
import pytest
import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM

from configs.settings import StageSettings
from tasks.lm.load import load_tokenizer
from tasks.lm.template import template_hash
from tasks.train import training
from tasks.train.job import Job, TrainingError
from tasks.train.launch import measured_in
from tasks.train.methods import METHODS
from tasks.train.stages import STAGES
from tasks.train.stages.kto import mismatched
from tasks.train.weights import load_trainable
from tests.tiny_model import make_tiny_model

REFUSED = {("dpo", "pissa"), ("kto", "pissa")}
TRAINED_BY = {"freeze": ("model.layers.1.",), "bitfit": (".bias",), "full": ("",)}
LINEAR = ("_proj.weight",)


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model with biases in its attention, for bitfit."""
    folder = make_tiny_model(tmp_path_factory.mktemp("model"), hidden=32)
    config = json.loads((folder / "config.json").read_text()) | {"attention_bias": True}
    (folder / "config.json").write_text(json.dumps(config))
    torch.manual_seed(0)
    AutoModelForCausalLM.from_pretrained(folder).save_pretrained(folder)
    return folder


@pytest.fixture
def trained_model(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The model in memory as the trainer left it, before it is saved."""
    seen: list[Any] = []
    original = training.save

    def keep(trained: Any, *rest: Any, **options: Any) -> None:
        with torch.no_grad():
            seen.append(trained.eval()(torch.arange(24).reshape(2, -1)).logits.clone())
        original(trained, *rest, **options)

    monkeypatch.setattr(training, "save", keep)
    return seen


def job_for(work: Path, parent: Path, stage: str, method: str) -> Job:
    def said(role: str, text: str) -> dict[str, str]:
        return {"role": role, "content": text}

    rows: list[dict[str, Any]] = [
        {
            "id": str(number),
            "text": f"The printer has {number} trays.",
            "prompt": [said("user", f"What is {number} and one?")],
            "completion": [said("assistant", f"It is {number + 1}.")],
            "chosen": [said("assistant", f"It is {number + 1}.")],
            "rejected": [said("assistant", "No idea.")],
        }
        for number in range(8)
    ]
    if stage == "kto":
        rows = [row | {"rejected" if number % 3 else "chosen": None} for number, row in enumerate(rows)]
    pl.DataFrame(rows).write_parquet(work / "rows.parquet")
    settings = StageSettings(
        finetuning_type=method,  # type: ignore[arg-type]
        max_steps=2,
        warmup_steps=0,
        max_length=64,
        lora_r=2,
        freeze_trainable_layers=1,
        learning_rate=1e-2,
    )
    return Job(
        name="cell",
        stage=stage,
        model=str(parent),
        template_hash=template_hash(load_tokenizer(parent)),
        data=str(work / "rows.parquet"),
        work=str(work),
        settings=settings,
        seed=1,
        starter=os.getpid(),
    )


@pytest.mark.parametrize("method", sorted(METHODS))
@pytest.mark.parametrize("stage", sorted(STAGES))
def test_stage_and_method(
    tmp_path: Path, parent: Path, trained_model: list[torch.Tensor], stage: str, method: str
) -> None:
    job = job_for(tmp_path, parent, stage, method)
    if (stage, method) in REFUSED:
        with pytest.raises(TrainingError, match=f"{stage} cannot be trained with finetuning_type {method}: it"):
            training.train(job)
        return
    training.train(job)
    measured = measured_in(job.output)
    assert measured["steps"] == 2
    assert measured["trainable_parameters"] > 0

    before, after = load_trainable(str(parent)), load_trainable(str(job.output))
    with torch.no_grad():
        logits = after.eval()(torch.arange(24).reshape(2, -1)).logits
    torch.testing.assert_close(logits, trained_model[0], atol=2e-4, rtol=1e-4)

    old, new = before.state_dict(), after.state_dict()
    assert old.keys() == new.keys()
    changed = {name for name in old if not torch.equal(old[name], new[name])}
    expected = TRAINED_BY.get(method, LINEAR)
    assert changed
    assert all(any(part in name for part in expected) for name in changed)
    if method == "full":
        assert any("embed" in name for name in changed)


def test_the_settings_offer_just_the_methods_that_there_are() -> None:
    assert set(get_args(StageSettings.model_fields["finetuning_type"].annotation)) == set(METHODS)


def test_bitfit_without_biases_is_refused_instead_of_training_nothing(tmp_path: Path) -> None:
    plain = make_tiny_model(tmp_path / "plain", hidden=32, layers=1)
    with pytest.raises(TrainingError, match="bitfit trains biases, and LlamaForCausalLM has none"):
        training.train(job_for(tmp_path, plain, "sft", "bitfit"))


def test_more_layers_than_there_are_cannot_be_trained(tmp_path: Path, parent: Path) -> None:
    job = job_for(tmp_path, parent, "sft", "freeze")
    settings = job.settings.model_copy(update={"freeze_trainable_layers": 9})
    with pytest.raises(TrainingError, match="freeze_trainable_layers is 9, but the model has 2 layers"):
        training.train(job.model_copy(update={"settings": settings}))


def test_the_default_learning_rate_suits_stage_and_method(tmp_path: Path, parent: Path) -> None:
    rates = {}
    for stage in ("sft", "dpo"):
        work = tmp_path / stage
        work.mkdir()
        job = job_for(work, parent, stage, "lora")
        training.train(job.model_copy(update={"settings": job.settings.model_copy(update={"learning_rate": None})}))
        rates[stage] = measured_in(job.output)["learning_rate"]
    assert rates["sft"] == 2e-4
    assert rates["dpo"] == pytest.approx(2e-5)


def test_sft_and_dpo_losses_agree_with_a_direct_calculation(tmp_path: Path, parent: Path) -> None:
    """The first step's loss, on two rows, worked out from the logits of the parent."""
    tokenizer, model = load_tokenizer(parent), load_trainable(str(parent)).eval()

    def answer_loss(row: dict[str, Any], answer: str) -> tuple[float, int]:
        prompt = tokenizer.apply_chat_template(row["prompt"], tokenize=False, add_generation_prompt=True)
        full = tokenizer(prompt + row[answer][0]["content"] + "<|im_end|>", return_tensors="pt").input_ids
        start = len(tokenizer(prompt).input_ids)
        with torch.no_grad():
            chances = model(full).logits[0, start - 1 : -1].log_softmax(-1)
        return -float(chances.gather(1, full[0, start:, None]).sum()), full.shape[1] - start

    job = job_for(tmp_path, parent, "sft", "lora")
    rows = pl.read_parquet(job.data).head(2)
    rows.write_parquet(job.data)
    parts = [answer_loss(row, "completion") for row in rows.iter_rows(named=True)]
    training.train(job)
    expected = sum(loss for loss, _ in parts) / sum(count for _, count in parts)
    assert measured_in(job.output)["losses"][0][1] == pytest.approx(expected, rel=1e-4)

    work = tmp_path / "dpo"
    work.mkdir()
    job = job_for(work, parent, "dpo", "full")
    rows.write_parquet(job.data)
    settings = job.settings.model_copy(update={"learning_rate": 1e-3})
    training.train(job.model_copy(update={"settings": settings}))
    first, second = (loss for _, loss in measured_in(job.output)["losses"])
    assert first == pytest.approx(0.693147, abs=1e-4)  # before the first step, policy and reference are equal
    assert second < first


def test_kto_pairs_each_prompt_with_another_answer_of_its_batch() -> None:
    rows = Dataset.from_dict({"prompt_ids": [[n] for n in range(10)], "completion_ids": [[n, n] for n in range(10)]})
    others = mismatched(rows, 4)["KL_completion_ids"][:]
    assert others == [[n, n] for n in (3, 0, 1, 2, 7, 4, 5, 6, 9, 8)]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"rejected": None}, "no disliked one"), ({}, "per_device_train_batch_size to 2 or more")],
)
def test_kto_is_refused_when_it_would_learn_nothing(
    tmp_path: Path, parent: Path, changes: dict[str, None], reason: str
) -> None:
    job = job_for(tmp_path, parent, "kto", "lora")
    if changes:
        rows = job_for(tmp_path, parent, "sft", "lora")
        pl.read_parquet(rows.data).with_columns(rejected=None).write_parquet(job.data)
    settings = job.settings.model_copy(update={"per_device_train_batch_size": 8 if changes else 1})
    with pytest.raises(TrainingError, match=reason):
        training.train(job.model_copy(update={"settings": settings}))
