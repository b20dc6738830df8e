"""Each stage trains a tiny model in a worker, as the pipeline does it."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch

from configs.settings import StageSettings, TrainSettings
from storage.lake import Lake
from storage.publish import publish
from storage.registry import Model, find, register
from storage.snapshot import Snapshot
from storage.trained import RESULT
from tasks.lm.load import load
from tasks.train import training
from tasks.train.job import Job, TrainingError
from tasks.train.launch import measured_in
from tasks.train.task import model_id, train
from tests.tiny_model import make_tiny_model

SETTINGS = StageSettings(
    max_length=128, learning_rate=5e-3, num_train_epochs=2, per_device_train_batch_size=4, lora_r=4, warmup_steps=0
)
STAGES = TrainSettings(cpt=SETTINGS, sft=SETTINGS, dpo=SETTINGS)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Model:
    lm = load(make_tiny_model(tmp_path_factory.mktemp("model")))
    return Model("base", "lm", "base", lm.path, lm.template_hash)


def said(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "content": text}


def mixture(lake: Lake, stage: str, template: str, rows: int = 20) -> Snapshot:
    def row(number: int) -> dict[str, Any]:
        prompt = [said("user", f"How many apples are {number} apples and one?")]
        good, bad = said("assistant", f"{number + 1} apples."), said("assistant", "I do not know.")
        columns: dict[str, Any] = {"text": f"Page {number}: our printer has {number} trays."}
        if stage == "sft":
            columns = {"prompt": prompt, "completion": [good]}
        if stage == "dpo":
            columns = {"prompt": prompt, "chosen": [good], "rejected": [bad]}
        return {"id": f"{number:03}", "stage": stage} | columns

    batch = f"mixture-{stage}-{rows}"
    manifest = pl.DataFrame([{"id": batch, "manifest": json.dumps({"template_hash": template})}])
    publish(lake, "manifests", manifest, step="mix", batch=batch, key="0" * 32)
    frame = pl.DataFrame([row(number) for number in range(rows)])
    return publish(lake, "mixtures", frame, step="mix", batch=batch, key="0" * 32)


def logits(path: str) -> torch.Tensor:
    lm = load(path)
    with torch.no_grad():
        result: torch.Tensor = lm.model(torch.arange(20).reshape(1, -1)).logits
    return result


@pytest.mark.parametrize("stage", ["cpt", "sft", "dpo"])
def test_a_stage_lowers_its_loss_and_leaves_a_model_that_loads(
    tmp_path: Path, base: Model, stage: str, caplog: pytest.LogCaptureFixture
) -> None:
    lake = Lake(str(tmp_path))
    rows = mixture(lake, stage, base.template_hash)
    with caplog.at_level(logging.INFO):
        model = train.fn(lake, "0001", rows, stage, base, STAGES, 3)
    losses = [loss for _, loss in model.metrics["losses"]]
    assert len(losses) == model.metrics["steps"] == 10
    assert losses[-1] < losses[0]
    assert model.metrics["rows"] == 20
    assert (Path(model.path) / "adapter" / "adapter_model.safetensors").exists()
    assert not torch.equal(logits(model.path), logits(base.path))
    assert load(model.path).template_hash == base.template_hash
    assert find(lake, model.id) == model
    assert not Path(lake.path("work", model.id)).exists()
    lines = [record.message for record in caplog.records]
    assert any("step 10/10, loss" in line for line in lines)
    samples = json.loads((Path(model.path) / "training.json").read_text())["samples"]
    assert len(samples) == 3
    assert all("«" in sample for sample in samples)
    assert not any(sample in line for sample in samples for line in lines)  # users' text is on no log
    assert "samples" not in model.metrics

    caplog.clear()
    with caplog.at_level(logging.INFO):
        assert train.fn(lake, "0001", rows, stage, base, STAGES, 3) == model
    assert [record.message for record in caplog.records] == [f"{model.id} is trained already"]

    other = Lake(str(tmp_path / "other"))  # killed after the model was saved and before it was registered
    Path(model.path).rename(other.folder("models") / model.id)
    again = train.fn(other, "0001", mixture(other, stage, base.template_hash), stage, base, STAGES, 3)
    assert (again.id, again.metrics) == (model.id, model.metrics)


def test_a_model_that_another_machine_trained_is_not_trained_again(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, parent, settings = Lake(f"{bucket}/trained"), Model("base", "lm", "base", "", "t"), TrainSettings()
    mixture = Snapshot(table="mixtures", step="mix_sft", batch="mixture", version=0, fingerprint="")
    name = model_id("sft", parent, mixture.batch, settings.sft, seed=1)
    monkeypatch.setenv("FLYWHEEL_CACHE", str(tmp_path / "one"))
    folder = lake.folder("models", name)
    for file in (RESULT, "config.json", "tokenizer_config.json", "model.safetensors"):
        (folder / file).write_text("{}")
    register(lake, Model(name, "lm", "sft", str(folder), "t"), batch="1")

    monkeypatch.setenv("FLYWHEEL_CACHE", str(tmp_path / "two"))
    found = train.fn(lake, "1", mixture, "sft", parent, settings, 1)
    assert (found.id, (Path(found.path) / RESULT).read_text()) == (name, "{}")


def job_for(lake: Lake, base: Model, rows: Snapshot, name: str, **changes: Any) -> Job:
    work = lake.folder("work", name)
    lake.scan(rows).sort("id").select(pl.exclude("batch", "step")).sink_parquet(work / "rows.parquet")
    job = Job(
        name=name,
        stage="sft",
        model=base.path,
        template_hash=base.template_hash,
        data=str(work / "rows.parquet"),
        work=str(work),
        settings=SETTINGS,
        seed=3,
        starter=os.getpid(),
    )
    return job.model_copy(update={"settings": SETTINGS.model_copy(update=changes.pop("settings", {})), **changes})


def test_full_fine_tuning_changes_the_weights_themselves(tmp_path: Path, base: Model) -> None:
    lake = Lake(str(tmp_path))
    rows = mixture(lake, "dpo", base.template_hash)
    job = job_for(lake, base, rows, "full", stage="dpo", settings={"finetuning_type": "full", "max_steps": 2})
    training.train(job)
    measured = measured_in(job.output)
    assert measured["trainable_parameters"] == load(base.path).model.num_parameters()
    assert not (job.output / "adapter").exists()
    assert abs(measured["losses"][0][1] - 0.6931) < 1e-3  # ln 2: the reference is the model itself


def test_another_template_than_the_mixtures_stops_the_run(tmp_path: Path, base: Model) -> None:
    lake = Lake(str(tmp_path))
    with pytest.raises(TrainingError, match="made for another chat template"):
        train.fn(lake, "0001", mixture(lake, "sft", "0123456789abcdef"), "sft", base, STAGES, 3)
    assert not list(tmp_path.glob("work/*/rows.parquet"))


def test_rows_that_are_too_long_are_counted_and_none_left_is_an_error(tmp_path: Path, base: Model) -> None:
    lake = Lake(str(tmp_path))
    job = job_for(lake, base, mixture(lake, "sft", base.template_hash), "long", settings={"max_length": 16})
    with pytest.raises(TrainingError, match=r"No row can be trained on \(20 too_long\); max_length is 16"):
        training.train(job)


def test_a_loss_that_is_no_number_stops_the_run(tmp_path: Path, base: Model) -> None:
    lake = Lake(str(tmp_path))
    wild = {"learning_rate": 1e30, "finetuning_type": "full"}
    with pytest.raises(TrainingError, match=r"The loss is .* at step"):
        training.train(job_for(lake, base, mixture(lake, "sft", base.template_hash), "wild", settings=wild))


def test_the_worker_dies_with_the_process_that_started_it(tmp_path: Path, base: Model) -> None:
    lake = Lake(str(tmp_path))
    job = job_for(lake, base, mixture(lake, "sft", base.template_hash), "orphan", starter=1)
    file = Path(job.work) / "job.json"
    file.write_text(job.model_dump_json())
    done = subprocess.run([sys.executable, "-m", "tasks.train.worker", str(file)], capture_output=True, text=True)
    assert "is gone" in done.stderr
    assert done.returncode != 0
