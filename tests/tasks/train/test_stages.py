"""What single stages need, and refuse."""

from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from tasks.train import training
from tasks.train.job import Job, TrainingError
from tasks.train.stages.kto import mismatched
from tests.tasks.train.cells import Models, cell, make_models, rows_for, settings_for
from tests.tasks.train.jobs import make_job
from tests.tiny_model import make_tiny_model


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    return make_models(tmp_path_factory.mktemp("models"))


def refused(job: Job, words: str) -> None:
    with pytest.raises(TrainingError, match=words):
        training.train(job)


def test_kto_pairs_each_prompt_with_another_answer_of_its_batch() -> None:
    rows = Dataset.from_dict({"prompt_ids": [[n] for n in range(10)], "completion_ids": [[n, n] for n in range(10)]})
    others = mismatched(rows, 4)["KL_completion_ids"][:]
    assert others == [[n, n] for n in (3, 0, 1, 2, 7, 4, 5, 6, 9, 8)]


def test_kto_reads_liked_and_disliked_answers_mixed(
    tmp_path: Path, models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TRL does not shuffle: rows in the order of a table would be one class after the other."""
    rows = sorted(rows_for("kto", 60), key=lambda row: row["chosen"] is None)
    settings = settings_for(models, "kto", "lora", num_train_epochs=1, max_steps=-1)
    seen: list[Any] = []
    monkeypatch.setattr("transformers.Trainer.train", lambda trainer, **_: seen.append(trainer) or _stop())
    with pytest.raises(KeyboardInterrupt):
        training.train(make_job(tmp_path / "cell", models.parent, "kto", rows, settings))
    labels = [liked for batch in seen[0].get_train_dataloader() for liked in batch["label"].tolist()]
    assert (len(labels), sum(labels)) == (60, 40)
    assert 10 < sum(labels[:30]) < 30


def _stop() -> None:
    raise KeyboardInterrupt


def test_kto_is_refused_when_it_would_learn_nothing(tmp_path: Path, models: Models) -> None:
    refused(cell(tmp_path / "one", models, "kto", "lora", per_device_train_batch_size=1), "_batch_size to 2 or more")
    liked = [row | {"rejected": None} for row in rows_for("sft", 4)]
    settings = settings_for(models, "kto", "lora")
    refused(make_job(tmp_path / "liked", models.parent, "kto", liked, settings), "no disliked one")


def test_a_step_of_answers_needs_its_prompts(tmp_path: Path, models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    job = cell(tmp_path / "few", models, "rloo", "lora", per_device_train_batch_size=64, max_steps=-1)
    refused(job, "A step answers 32 prompts, and there are 8")
    monkeypatch.setenv("WORLD_SIZE", "2")  # processes that an agent has started
    job = cell(tmp_path / "two", models, "rloo", "lora", per_device_train_batch_size=12, max_steps=-1)
    refused(job, "A step answers 12 prompts, and there are 8")


def test_a_teacher_has_the_same_tokens(tmp_path: Path, models: Models) -> None:
    other = make_tiny_model(tmp_path / "other", hidden=32, vocabulary=400)
    job = cell(tmp_path / "cell", models, "distill", "lora", teacher_model_name_or_path=str(other))
    refused(job, "has other tokens than the model")


def test_a_reward_model_is_no_model_to_train_on(tmp_path: Path, models: Models) -> None:
    job = cell(tmp_path / "cell", models, "sft", "lora").model_copy(update={"model": str(models.judge)})
    refused(job, "gives scores and writes no answers")
