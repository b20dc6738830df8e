"""The lake on a real S3 API: tables commit once, models travel between machines, upkeep and erasing reach all."""

from pathlib import Path

import polars as pl
import pytest
from deltalake.exceptions import CommitFailedError

from configs.settings import MaintainSettings
from storage import files, registry
from storage import publish as publishing
from storage.lake import Lake, LakeError
from storage.maintain import maintain
from storage.publish import publish
from storage.registry import Model
from storage.snapshot import digest


def rows(*ids: str) -> pl.DataFrame:
    return pl.DataFrame({"id": list(ids), "split": ["train"] * len(ids)})


def test_a_batch_is_there_once_and_replaced_whole(bucket: str) -> None:
    lake = Lake(f"{bucket}/once")
    for _ in range(2):
        publish(lake, "splits", rows("a", "b"), step="split", batch="1", key=digest("1"))
    assert sorted(lake.read("splits").collect()["id"]) == ["a", "b"]
    publish(lake, "splits", rows("c"), step="split", batch="1", key=digest("2"))
    assert lake.read("splits").collect()["id"].to_list() == ["c"]
    assert [(table.name, table.rows) for table in lake.status()] == [("splits", 1)]


def test_of_two_writers_at_once_one_is_told(bucket: str) -> None:
    lake = Lake(f"{bucket}/race")
    first, second = lake.ensure("splits"), lake.ensure("splits")
    frame = publishing.conform("splits", rows("a").with_columns(batch=pl.lit("1"), step=pl.lit("split")))
    publishing._commit(first, frame, "split", "1", "split/1", 5, replace=False)
    with pytest.raises(CommitFailedError):
        publishing._commit(second, frame, "split", "1", "split/1", 5, replace=False)
    assert lake.read("splits").collect().height == 1


def test_a_model_reaches_another_machine(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = Lake(f"{bucket}/models")
    monkeypatch.setenv("FLYWHEEL_CACHE", str(tmp_path / "one"))
    folder = lake.folder("models", "sft-1")
    (folder / "adapter").mkdir()
    (folder / "adapter" / "weights").write_text("w")
    registry.register(lake, Model("sft-1", "lm", "sft", str(folder), "t"), batch="1")

    monkeypatch.setenv("FLYWHEEL_CACHE", str(tmp_path / "two"))
    found = registry.get(lake, "sft-1")
    assert Path(found.path).is_relative_to(tmp_path / "two")
    assert (Path(found.path) / "adapter" / "weights").read_text() == "w"


def test_upkeep_works_in_an_object_store(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLYWHEEL_CACHE", str(tmp_path))
    lake = Lake(f"{bucket}/upkeep")
    for number in range(10):
        publish(lake, "splits", rows(f"{number}"), step="split", batch=f"{number}", key=digest(f"{number}"))
    folder = lake.folder("models", "sft-1")
    (folder / "weights").write_text("weights")
    registry.register(lake, Model("sft-1", "lm", "sft", str(folder), "t"), batch="1")
    publish(lake, "runs", pl.DataFrame({"id": ["1"]}), step="finish", batch="1", key=digest("1"))
    done = maintain(lake, MaintainSettings(vacuum_hours=0, model_days=0))
    assert (done["tables_merged"], done["models_pruned"]) == (1, 1)
    assert done["bytes_freed"] > len("weights")
    assert len(files.listed(lake, "tables", "splits")) - len(files.listed(lake, "tables", "splits", "_delta_log")) == 1
    assert files.listed(lake, "models") == {}
    assert not folder.exists()
    assert lake.read("splits").collect().height == 10
    with pytest.raises(LakeError, match="weights of sft-1 were removed"):
        registry.get(lake, "sft-1")
