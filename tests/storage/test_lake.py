"""The lake: what a table looks like before, with and after rows, and what must never reach its log."""

import os
from pathlib import Path

import polars as pl
import pytest

from storage.lake import Lake, LakeError
from storage.publish import conform, publish
from storage.snapshot import digest
from storage.tables import TABLES


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


@pytest.mark.parametrize("table", TABLES)
def test_every_table_can_be_made_read_and_written(lake: Lake, table: str) -> None:
    assert lake.read(table).collect().schema == TABLES[table].schema
    publish(lake, table, pl.DataFrame({"id": ["a"]}), step="s", batch="1", key=digest("1"))
    rows = lake.read(table, batch="1", step="s").collect()
    assert rows.schema == TABLES[table].schema
    assert rows["id"].to_list() == ["a"]


def test_an_earlier_version_can_be_read_again(lake: Lake) -> None:
    publish(lake, "splits", pl.DataFrame({"id": ["a"]}), step="s", batch="1", key=digest("1"))
    version = lake.status()[0].version
    publish(lake, "splits", pl.DataFrame({"id": ["b"]}), step="s", batch="1", key=digest("2"))
    assert lake.read("splits", version=version).collect()["id"].to_list() == ["a"]


def test_text_never_reaches_the_delta_log(lake: Lake) -> None:
    row = {"id": "a", "content": "clear-text-marker", "reason": "reason", "source": "s"}
    publish(lake, "quarantine", pl.DataFrame([row]), step="s", batch="1", key=digest("1"))
    logs = list(Path(lake.path("tables", "quarantine", "_delta_log")).glob("*.json"))
    assert logs
    assert not any("clear-text-marker" in log.read_text() for log in logs)


def test_messages_keep_what_they_have(lake: Lake) -> None:
    rows = pl.DataFrame({"id": ["a"], "messages": [[{"role": "user", "content": "hi"}]]})
    messages = conform("interactions", rows.with_columns(batch=pl.lit("1"), step=pl.lit("s")))["messages"].to_list()
    assert messages == [[{"role": "user", "content": "hi", "name": None, "tool_calls": None, "tool_call_id": None}]]


def test_a_local_lake_makes_its_secret_once_and_outside(lake: Lake) -> None:
    first = lake.secret()
    assert Lake(lake.uri).secret() == first
    file = Path(lake.uri + ".secret")
    assert file.stat().st_mode & 0o777 == 0o600
    assert not Path(lake.uri).exists()


def test_a_remote_lake_wants_its_secret_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLYWHEEL_SECRET", raising=False)
    with pytest.raises(LakeError, match="set FLYWHEEL_SECRET"):
        Lake("s3://bucket/lake").secret()
    monkeypatch.setitem(os.environ, "FLYWHEEL_SECRET", "x" * 32)
    assert Lake("s3://bucket/lake").secret() == b"x" * 32
