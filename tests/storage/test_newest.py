"""The newest rows of a table are what sorting all of it would give, and old batches are not opened for them."""

from pathlib import Path

import polars as pl
import pytest

from storage.lake import Lake
from storage.newest import newest
from tests.rows import write


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    found = Lake(str(tmp_path / "lake"))
    for batch in range(5):
        rows = [{"id": f"{batch}-{number}", "split": "train" if number % 2 else "holdout"} for number in range(6)]
        write(found, "splits", f"000{batch}", rows)
    return found


@pytest.mark.parametrize("most", [1, 3, 4, 100])
def test_they_are_those_of_the_sorted_table(lake: Lake, most: int) -> None:
    train = pl.col("split") == "train"
    everything = lake.read("splits").filter(train).sort("batch", "id", descending=True).head(most).collect()
    assert newest(lake, "splits", most, train).collect().equals(everything)


def test_of_no_rows_there_are_none(lake: Lake) -> None:
    found = newest(lake, "splits", 3, pl.col("split") == "validation").collect()
    assert found.is_empty()
    assert found.columns == lake.read("splits").collect_schema().names()


def test_texts_of_older_batches_are_not_read(lake: Lake) -> None:
    delta = lake.delta("splits")
    assert delta is not None
    batches = pl.DataFrame(delta.get_add_actions(flatten=True)).select("path", "min.batch").rows()
    wanted = newest(lake, "splits", 4, pl.col("split") == "train").select("id", "group")
    for path, batch in batches:  # the group stands in the files only, so that a file that is gone is missed
        if batch < "0003":
            Path(lake.path("tables", "splits", path)).unlink()
    with pytest.raises(FileNotFoundError):
        lake.read("splits").select("group").collect()
    assert wanted.collect()["id"].to_list() == ["4-5", "4-3", "4-1", "3-5"]
