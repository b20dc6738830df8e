"""One whole turn with the lake in an object store: two machines see the same lake, and it can be kept and searched."""

from pathlib import Path

import pytest

from configs.settings import MaintainSettings
from flows.nightly import flywheel
from flows.trace import trace
from storage import files, registry
from storage.lake import Lake
from storage.maintain import maintain
from tests.flows.small import small_settings
from tests.tiny_model import make_tiny_model

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]


def test_a_whole_run_in_an_object_store(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLYWHEEL_SECRET", "s" * 32)
    monkeypatch.setenv("FLYWHEEL_CACHE", str(tmp_path / "one"))
    small = small_settings(tmp_path, make_tiny_model(tmp_path / "tiny"), stages=("sft",))
    settings = small.model_copy(update={"lake": f"{bucket}/wheel"})
    lake = Lake(settings.lake)
    result = flywheel(settings)
    assert result.verdict in {"promote", "hold", "reject"}
    filled = {table.name for table in lake.status() if table.rows}
    assert filled >= {"interactions", "duplicates", "scrubbed", "curated", "mixtures", "models", "evaluations", "runs"}
    assert set(files.listed(lake, "reports")) == {f"{result.batch}.html"}
    assert any(name.endswith(".safetensors") for name in files.listed(lake, "models", str(result.challenger)))

    monkeypatch.setenv("FLYWHEEL_CACHE", str(tmp_path / "two"))  # as on another machine
    trained = registry.get(lake, str(result.challenger))
    assert Path(trained.path).is_relative_to(tmp_path / "two")
    assert list(Path(trained.path).glob("*.safetensors"))
    assert flywheel(settings).batch is None
    before = lake.read("curated").sort("id").collect()
    assert maintain(lake, MaintainSettings(vacuum_hours=0))["rows_emptied"] == 0
    assert lake.read("curated").sort("id").collect().equals(before)
    mixture, parent = trace(lake, trained.id).children
    assert (mixture.id, parent.id) == (trained.mixture, trained.parent)
    assert len(mixture.children) == lake.read("mixtures", batch=mixture.id).collect().height
