"""The lake: what a table looks like before, with and after rows, and what must never reach its log."""

import os
import pickle
import shutil
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


def write(lake: Lake, name: str) -> None:
    publish(lake, "splits", pl.DataFrame({"id": [name]}), step="s", batch=name, key=digest(name))


def ids(rows: pl.LazyFrame) -> list[str]:
    return sorted(rows.collect()["id"])


def test_a_table_stays_open_until_somebody_writes(lake: Lake) -> None:
    write(lake, "a")
    before, opened = lake.read("splits"), lake.delta("splits")
    assert lake.delta("splits") is opened
    write(Lake(lake.uri), "b")
    assert lake.delta("splits") is not opened
    assert ids(lake.read("splits")) == ["a", "b"]
    assert ids(before) == ["a"]  # what was read stays what it was


def test_a_table_that_was_deleted_is_not_open_any_more(lake: Lake) -> None:
    write(lake, "a")
    assert ids(lake.read("splits")) == ["a"]
    shutil.rmtree(lake.path("tables", "splits"))
    assert lake.delta("splits") is None
    write(lake, "b")
    assert ids(lake.read("splits")) == ["b"]


def test_a_cleaned_up_log_hides_nothing(lake: Lake) -> None:
    write(lake, "a")
    assert ids(lake.read("splits")) == ["a"]
    write(Lake(lake.uri), "b")
    write(Lake(lake.uri), "c")
    delta = Lake(lake.uri).ensure("splits")
    delta.create_checkpoint()
    log = Path(lake.path("tables", "splits", "_delta_log"))
    for version in range(delta.version()):
        (log / f"{version:020}.json").unlink()
    assert ids(lake.read("splits")) == ["a", "b", "c"]


def test_what_is_open_does_not_travel_to_other_processes(lake: Lake) -> None:
    write(lake, "a")
    assert ids(lake.read("splits")) == ["a"]
    copy = pickle.loads(pickle.dumps(lake))
    assert copy == lake
    assert ids(copy.read("splits")) == ["a"]


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
