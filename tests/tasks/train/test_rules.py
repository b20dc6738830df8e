"""Trainings that cannot work are refused with the reason before anything is loaded; see test_cells for the matrix."""

from pathlib import Path
from typing import Any

import pytest

from configs.load import SettingsError, parse
from configs.settings import TrainSettings
from configs.training import settings_class
from tasks.lm.load import MissingModelError
from tasks.train import rules
from tasks.train.job import Job, TrainingError
from tasks.train.rules import check, check_chain


def test_ppo_is_told_what_took_its_place_and_is_no_other_name_for_it() -> None:
    with pytest.raises(SettingsError, match=r"ppo is not there any more: TRL has removed it; take rloo.* or grpo"):
        parse({"train": {"ppo": {}}}, "a test")
    with pytest.raises(TrainingError, match=r"take rloo.* or grpo"):
        check("ppo", settings_class("ppo")())
    with pytest.raises(TrainingError, match="There is no training stage pretrain: take one of cpt, sft"):
        check("pretrain", settings_class("pretrain")())


@pytest.mark.parametrize(
    ("stage", "changes", "words"),
    [
        ("dpo", {"ewc_lambda": 1, "finetuning_type": "full"}, "ewc_lambda is for cpt, distill, orpo, sft, not for dpo"),
        ("sft", {"ewc_lambda": 1}, "finetuning_type lora leaves them as they are: take one of bitfit, freeze, full"),
        ("distill", {}, "set train.distill.teacher_model_name_or_path"),
        ("grpo", {"reward": "nowhere.json"}, "nowhere.json is no file with a JSON schema"),
        ("dpo", {"packing": True}, "dpo reads rows in pairs or groups: packing is for cpt, sft"),
        (
            "sft",
            {"trainer_args": [{"name": "weigth", "value": 1}]},
            r"train\.sft\.trainer_args: SFTConfig has no weigth",
        ),
    ],
)
def test_what_cannot_work_is_refused(stage: str, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(TrainingError, match=words):
        check(stage, settings_class(stage).model_validate(changes))


def test_models_to_learn_from_are_looked_for_first() -> None:
    for stage, changes in (("distill", {"teacher_model_name_or_path": "./no"}), ("rloo", {"reward": "./no"})):
        with pytest.raises(MissingModelError, match="No model folder no"):
            check(stage, settings_class(stage).model_validate(changes))


def test_qlora_needs_what_rounds_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "find_spec", lambda _: None)
    with pytest.raises(TrainingError, match="pip install bitsandbytes, or take lora"):
        check("sft", settings_class("sft")(finetuning_type="qlora"))


def test_a_chain_needs_weights_that_the_next_stage_can_load() -> None:
    check_chain(TrainSettings())
    with pytest.raises(TrainingError, match=r"train\.sft\.finetuning_type is prefix, which cannot be merged"):
        check_chain(TrainSettings.model_validate({"sft": {"finetuning_type": "prefix"}}))
    check_chain(TrainSettings.model_validate({"sft": {"finetuning_type": "prefix", "enabled": False}}))


def test_what_another_machine_trains_needs_nothing_of_this_one() -> None:
    distill = {"enabled": True, "teacher_model_name_or_path": "./no"}
    check_chain(TrainSettings.model_validate({"deployments": True, "distill": distill}))
    with pytest.raises(MissingModelError, match="No model folder no"):
        check_chain(TrainSettings.model_validate({"distill": distill}))
    with pytest.raises(TrainingError, match="dpo reads rows in pairs"):
        check_chain(TrainSettings.model_validate({"deployments": True, "dpo": {"packing": True}}))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"trainer_args": [{"name": "log_completions", "value": True}]}, "log_completions is Flywheel's to set"),
        ({"num_generations": 3}, "num_generations \\(3\\) does not divide it"),
        ({"max_completion_length": 512, "max_length": 512}, "must leave room for a prompt"),
    ],
)
def test_settings_of_answers_that_cannot_be_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        parse({"train": {"grpo": changes}}, "a test")


@pytest.mark.parametrize("stage", ["distill", "grpo", "sft"])
def test_a_job_reads_the_settings_of_its_stage_from_a_file(tmp_path: Path, stage: str) -> None:
    job = Job(
        name="a", stage=stage, model="m", template_hash="t", data="d", work=str(tmp_path), seed=1, starter=1,
        settings=settings_class(stage)(max_steps=3),
    )  # fmt: skip
    assert Job.model_validate_json(job.model_dump_json()) == job
