"""Upkeep of a lake: fewer files, no old text, no old versions, no weights nobody needs; again and beside writers."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from configs.settings import MaintainSettings
from storage import verdicts
from storage.lake import Lake, LakeError
from storage.maintain import compact, empty_text, expired, is_emptied, maintain, prune_models, vacuum
from storage.publish import publish
from storage.registry import Model, register
from storage.snapshot import digest
from storage.tables import TABLES
from storage.verdicts import Decision, decide
from tests.e2e.marker import places_with
from tests.rows import write

MARKER = "old-words-of-a-user"
NOW = MaintainSettings(vacuum_hours=0, retention_days=0, model_days=0)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def batch(lake: Lake, name: str, age: int, *, curated: bool = True) -> None:
    """A batch taken in so many days ago, with text in every raw column."""
    then = datetime.now(UTC) - timedelta(days=age)
    write(lake, "sources", name, [{"id": f"s{name}", "source": "chats", "uri": "u", "planned_at": then}], "collect")
    notes = f'{{"superseded": [{{"id": "earlier"}}], "tags": "{MARKER}"}}'
    known = {"user_hash": "u", "conversation_id": "c", "consent": True, "occurred_at": then, "metadata": notes}
    said = [{"role": "user", "content": MARKER}]
    write(lake, "interactions", name, [{"id": f"i{name}", "messages": said, "tools": MARKER, **known}], "collect")
    write(lake, "quarantine", name, [{"id": f"q{name}", "content": MARKER, "reason": "broken"}], "collect")
    write(lake, "feedback", name, [{"id": f"f{name}", "target_id": f"i{name}", "comment": MARKER}], "collect")
    if curated:
        write(lake, "books", name, [{"id": "in/rows", "kind": "in"}], "score")


def test_old_text_goes_and_what_traces_it_stays(lake: Lake) -> None:
    batch(lake, "0001-a", age=100)
    batch(lake, "0002-b", age=1)
    done = maintain(lake, MaintainSettings(vacuum_hours=0))
    assert done["rows_emptied"] == 3
    assert done["bytes_freed"] > 0
    old, new = lake.read("interactions").sort("batch").collect().to_dicts()
    assert old["messages"] is None
    assert old["tools"] is None
    assert (old["id"], old["user_hash"], old["conversation_id"], old["consent"]) == ("i0001-a", "u", "c", True)
    assert old["metadata"] == '{"superseded": [{"id": "earlier"}]}'
    assert new["messages"][0]["content"] == MARKER
    assert lake.read("quarantine").sort("batch").collect()["content"].to_list() == [None, MARKER]
    assert is_emptied(lake, "0001-a")
    assert not is_emptied(lake, "0002-b")
    assert maintain(lake, MaintainSettings(vacuum_hours=0)) == dict.fromkeys(done, 0)


def test_no_byte_of_emptied_text_is_left(lake: Lake) -> None:
    batch(lake, "0001-a", age=100)
    assert places_with(MARKER, Path(lake.uri)) == {f"tables/{name}" for name, table in TABLES.items() if table.raw}
    maintain(lake, NOW)
    assert places_with(MARKER, Path(lake.uri)) == set()


def test_what_was_not_curated_keeps_its_text(lake: Lake, caplog: pytest.LogCaptureFixture) -> None:
    batch(lake, "0001-a", age=100, curated=False)
    assert expired(lake, datetime.now(UTC)) == set()
    assert "0001-a was never curated" in caplog.text


def test_generated_text_in_quarantine_goes_with_its_batch(lake: Lake) -> None:
    batch(lake, "0001-a", age=100)
    write(lake, "quarantine", "0001-a-synthetic", [{"id": "d", "content": MARKER}])
    assert empty_text(lake, "quarantine", expired(lake, datetime.now(UTC))) == 2


def test_small_files_are_merged_and_steps_stay_done(lake: Lake) -> None:
    snapshots = [write(lake, "splits", f"{number}", [{"id": f"{number}"}]) for number in range(12)]
    before = lake.read("splits").sort("id").collect()
    assert compact(lake, "splits")
    assert len(lake.delta("splits").file_uris()) == 1  # type: ignore[union-attr]
    assert not compact(lake, "splits")
    assert lake.read("splits").sort("id").collect().equals(before)
    assert [write(lake, "splits", f"{n}", [{"id": f"{n}"}]).fingerprint for n in range(12)] == [
        one.fingerprint for one in snapshots
    ]
    assert lake.read("splits").collect().height == 12


def test_partitions_are_merged_one_by_one(lake: Lake) -> None:
    for number in range(10):
        month = datetime(2026, 1 + number % 2, 1, tzinfo=UTC)
        rows: list[dict[str, Any]] = [{"id": f"{number}", "domain": "a b", "occurred_at": month}]
        write(lake, "curated", f"{number}", [*rows, {"id": f"n{number}", "domain": None, "occurred_at": None}])
    files = pl.DataFrame(lake.delta("curated").get_add_actions(flatten=True))  # type: ignore[union-attr]
    assert files.height == 20
    assert compact(lake, "curated")
    merged = pl.DataFrame(lake.delta("curated").get_add_actions(flatten=True))  # type: ignore[union-attr]
    assert merged.height == 11  # ten of two months with five each, and one of ten without
    assert lake.read("curated").collect().height == 20
    assert set(lake.read("curated").collect()["month"]) == {"2026-01", "2026-02", None}


def test_readers_of_a_young_version_are_left_in_peace(lake: Lake) -> None:
    write(lake, "splits", "1", [{"id": "a"}])
    pinned = lake.read("splits")
    publish(lake, "splits", pl.DataFrame({"id": ["b"]}), step="test", batch="1", key=digest("other"))
    assert vacuum(lake, "splits", hours=1) == 0
    assert pinned.collect()["id"].to_list() == ["a"]
    assert vacuum(lake, "splits", hours=0) > 0
    with pytest.raises(FileNotFoundError):
        pinned.collect()


def test_writers_at_the_same_time_lose_nothing(lake: Lake) -> None:
    stop = threading.Event()

    def keep() -> None:
        while not stop.is_set():
            maintain(lake, MaintainSettings(retention_days=0, vacuum_hours=1))

    batch(lake, "0000-a", age=1)
    upkeep = threading.Thread(target=keep)
    upkeep.start()
    try:
        for number in range(30):
            for key in ("first", "second"):
                rows = pl.DataFrame({"id": [f"{number}", key]})
                publish(lake, "interactions", rows, step="s", batch=f"{number:04d}", key=digest(key, str(number)))
    finally:
        stop.set()
        upkeep.join()
    found = lake.read("interactions").filter(pl.col("step") == "s").collect()
    assert found.height == 60
    assert found.filter(pl.col("id") == "second").height == 30


def models(lake: Lake, *names: str) -> None:
    for name in names:
        folder = lake.folder("models", name)
        (folder / "model.safetensors").write_bytes(bytes(1000))
        register(lake, Model(name, "lm", "sft", str(folder), "t", parent="base"), batch="0001-a")


def test_weights_that_nobody_needs_go(lake: Lake, tmp_path: Path) -> None:
    register(lake, Model("base", "lm", "base", str(tmp_path), "t"), batch="base")
    decide(lake, Decision("base", None, "promote", ["First."]), batch="base")
    models(lake, "one", "two", "three", "middle", "rejected")
    for before, after in (("base", "one"), ("one", "two"), ("two", "three")):
        decide(lake, Decision(after, before, "promote", ["Better."]), batch=after)
    long_ago, now = datetime.now(UTC) - timedelta(days=1), datetime.now(UTC) + timedelta(days=1)
    assert not prune_models(lake, now, 1)  # the run is not finished
    write(lake, "runs", "0001-a", [{"id": "0001-a/finish"}], "finish")
    assert not prune_models(lake, long_ago, 1)
    assert prune_models(lake, now, 1) == {"one": 1000, "middle": 1000, "rejected": 1000}
    assert not prune_models(lake, now, 1)
    assert {folder.name for folder in Path(lake.path("models")).iterdir()} == {"two", "three"}
    assert tmp_path.exists()
    with pytest.raises(LakeError, match=r"weights of one were removed by `flywheel maintain`"):
        verdicts.rollback(lake, "It was better.", to="one")
    assert verdicts.champion(lake) == "three"


def test_reward_heads_stay_and_reward_models_go(lake: Lake) -> None:
    for name, kind, mixture in (("head", "head", None), ("model", "reward", "mixture")):
        folder = lake.folder("models", name)
        (folder / "weights").write_bytes(bytes(1000))
        register(lake, Model(name, kind, "reward", str(folder), "t", mixture=mixture), batch="1")
    write(lake, "runs", "1", [{"id": "1/finish"}], "finish")
    assert prune_models(lake, datetime.now(UTC) + timedelta(days=1), 1) == {"model": 1000}
