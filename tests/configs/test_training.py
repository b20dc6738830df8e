"""Training settings: names that other tools use, and what may not be passed through."""

import logging
from typing import Any

import pytest

from configs.aliases import SETTINGS, STAGE, TRAIN
from configs.load import SettingsError, parse
from configs.settings import Settings, StageSettings, TrainSettings
from flows.batches import settings_hash


def sft(**changes: Any) -> StageSettings:
    return parse({"train": {"sft": changes}}, "a test").train.sft


def test_every_alias_names_a_setting_and_is_none_itself() -> None:
    for aliases, section in ((SETTINGS, Settings), (STAGE, StageSettings)):
        assert set(aliases.values()) <= set(section.model_fields)
        assert not set(aliases) & set(section.model_fields)
    assert set(TRAIN.values()) & set(TrainSettings.model_fields)


def test_a_config_of_llama_factory_is_understood_with_warnings(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = sft(cutoff_len=512, lora_rank=8, lora_target="all", warmup_ratio=0.1, finetuning_type="lora")
    assert (found.max_length, found.lora_r, found.lora_target, found.warmup_steps) == (512, 8, ("all-linear",), 0.1)
    assert "The setting cutoff_len is called max_length here." in caplog.messages
    assert len(caplog.messages) == 3
    assert sft(lora_target="q_proj, v_proj").lora_target == ("q_proj", "v_proj")
    assert parse({"base_model": "x", "train": {"pt": {"lr": 1}}}, "a test").train.cpt.learning_rate == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"cutoff_len": 64, "max_length": 64}, "cutoff_len and max_length are the same setting: keep max_length"),
        ({"cutoff_len": 64, "max_seq_length": 64}, "max_length is set twice, under other names: keep max_length"),
        ({"trainer_args": [{"name": "learning_rate", "value": 1}]}, "learning_rate is a setting of its own"),
        ({"trainer_args": [{"name": "cutoff_len", "value": 1}]}, "is a setting of its own; set max_length"),
        ({"trainer_args": [{"name": "save_steps", "value": 1}]}, "save_steps is Flywheel's to set; leave it out"),
        ({"trainer_args": [{"name": "optim", "value": "a"}, {"name": "optim", "value": "b"}]}, "optim is given twice"),
    ],
)
def test_what_contradicts_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words) as caught:
        sft(**changes)
    assert str(caught.value).startswith("train.sft in a test: ")


def test_processes_are_shared_evenly_by_machines() -> None:
    with pytest.raises(SettingsError, match="num_processes must be a multiple of num_machines"):
        parse({"train": {"launch": {"num_machines": 2, "num_processes": 3}}}, "a test")


def test_where_a_training_runs_changes_no_result() -> None:
    plain = parse({}, "a test")
    elsewhere = {"launch": {"num_processes": 8}, "report_to": ["mlflow"], "deployments": True, "gpu_slots": 1}
    assert settings_hash(parse({"train": elsewhere}, "a test")) == settings_hash(plain)
    assert settings_hash(parse({"train": {"start": "base"}}, "a test")) != settings_hash(plain)
