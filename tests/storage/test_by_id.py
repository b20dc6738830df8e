"""Rows by their ids: those of any batch, and no others."""

from pathlib import Path

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.by_id import distinct, of_ids
from storage.lake import Lake
from storage.publish import publish
from storage.snapshot import digest

BATCHES = ("0001-a", "0002-b", "0003-c", "0004-d")


def _lake(folder: Path) -> Lake:
    """Two splits a batch; `both` comes up in the first and the last one."""
    lake = Lake(str(folder / "lake"))
    for at, batch in enumerate(BATCHES):
        names = [f"{at}x", f"{at}y", *(["both"] if at in {0, 3} else [])]
        rows = pl.DataFrame({"id": names, "group": [f"{name}-{batch}" for name in names], "split": "train"})
        publish(lake, "splits", rows, step="split", batch=batch, key=digest(batch))
    return lake


def test_rows_of_ids_are_those_that_a_look_at_the_whole_table_finds(tmp_path: Path) -> None:
    lake = _lake(tmp_path)
    everything = lake.read("splits").collect()

    @settings(max_examples=30, deadline=None)
    @given(st.sets(st.sampled_from([*everything["id"].unique().sort(), "nobody"])))
    def check(names: set[str]) -> None:
        found = of_ids(lake, "splits", pl.Series(sorted(names), dtype=pl.String)).collect()
        expected = everything.filter(pl.col("id").is_in(list(names)))
        assert found.sort("id", "batch").equals(expected.sort("id", "batch"))

    check()


def test_no_rows_where_the_table_is_not_there_yet(tmp_path: Path) -> None:
    assert of_ids(Lake(str(tmp_path / "lake")), "splits", pl.Series(["a"])).collect().is_empty()


def test_files_of_other_batches_stay_closed(tmp_path: Path) -> None:
    lake = _lake(tmp_path)
    delta = lake.delta("splits")
    assert delta is not None
    of_others = [Path(file) for file in delta.file_uris() if pl.read_parquet(file)["id"].str.starts_with("1").any()]
    wanted = of_ids(lake, "splits", pl.Series(["2x", "3y"]))  # looked up: the texts are read when it is collected
    assert of_others
    for file in of_others:
        file.unlink()
    assert sorted(wanted.collect()["id"]) == ["2x", "3y"]


def test_the_first_row_of_each_key_stays() -> None:
    rows = pl.LazyFrame({"id": ["b", "a", "b"], "n": [1, 2, 3]})
    assert distinct(rows, "id").collect().rows() == [("b", 1), ("a", 2)]
