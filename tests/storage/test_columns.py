"""A lake that an older version of the code wrote goes on working when a table gets a new column."""

from pathlib import Path

import polars as pl
import pytest
from deltalake import write_deltalake

from storage.lake import Lake
from storage.publish import publish
from storage.snapshot import digest


@pytest.fixture
def old(tmp_path: Path) -> Lake:
    lake = Lake(str(tmp_path / "lake"))
    for batch in ("1", "2"):
        publish(lake, "books", pl.DataFrame({"id": ["a"], "value": [1.0]}), step="s", batch=batch, key=digest(batch))
    rows = pl.read_delta(lake.path("tables", "books")).drop("kind")
    write_deltalake(lake.path("tables", "books"), rows, mode="overwrite", schema_mode="overwrite")
    return lake


def test_a_column_that_was_not_there_is_null(old: Lake) -> None:
    rows = old.read("books").collect()
    assert rows["kind"].to_list() == [None, None]
    assert rows.columns == ["id", "batch", "step", "kind", "name", "value"]


def test_new_rows_have_it_and_old_ones_stay(old: Lake) -> None:
    fresh = pl.DataFrame({"id": ["a"], "kind": ["fact"], "value": [2.0]})
    publish(old, "books", fresh, step="s", batch="2", key=digest("other settings"))
    publish(old, "books", fresh, step="s", batch="3", key=digest("3"))
    rows = old.read("books").sort("batch").collect()
    assert rows.select("batch", "kind", "value").rows() == [("1", None, 1.0), ("2", "fact", 2.0), ("3", "fact", 2.0)]
