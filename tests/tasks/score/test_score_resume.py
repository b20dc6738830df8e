"""Killed half-way, scoring goes on where it was."""

from pathlib import Path

import polars as pl
import pytest

from tasks.score import resume
from tasks.score.place import Place
from tasks.score.resume import in_parts

ROWS = pl.DataFrame({"id": [str(at) for at in range(25)], "messages": [[{"content": str(at)}] for at in range(25)]})


class Work:
    """Scores rows by their number, and dies when it has done so many parts."""

    def __init__(self, parts: int) -> None:
        self.parts = parts
        self.done: list[int] = []

    def __call__(self, part: pl.DataFrame, label: str) -> pl.DataFrame:
        if len(self.done) == self.parts:
            raise KeyboardInterrupt
        self.done.append(part.height)
        return part.select(perplexity=pl.col("id").cast(pl.Float64))


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resume, "PART", 10)


def test_finished_parts_are_not_made_again(tmp_path: Path) -> None:
    killed = Work(parts=2)
    with pytest.raises(KeyboardInterrupt):
        in_parts(ROWS, Place(tmp_path, "local"), "model", killed)
    again = Work(parts=9)
    found = in_parts(ROWS, Place(tmp_path, "local"), "model", again)
    assert (killed.done, again.done) == ([10, 10], [5])
    assert found["perplexity"].to_list() == [float(at) for at in range(25)]


def test_another_model_or_another_text_is_scored_anew(tmp_path: Path) -> None:
    in_parts(ROWS, Place(tmp_path, "local"), "model", Work(parts=9))
    other = Work(parts=9)
    in_parts(ROWS, Place(tmp_path, "local"), "another model", other)
    assert other.done == [10, 10, 5]
    changed = Work(parts=9)
    texts = pl.when(pl.col("id") == "12").then(pl.lit([{"content": "x"}])).otherwise("messages")
    in_parts(ROWS.with_columns(messages=texts), Place(tmp_path, "local"), "model", changed)
    assert changed.done == [10]


def test_what_was_cut_off_while_writing_does_not_count(tmp_path: Path) -> None:
    in_parts(ROWS, Place(tmp_path, "local"), "model", Work(parts=9))
    for file in tmp_path.glob("*.parquet"):
        file.rename(file.with_suffix(".unfinished"))
    again = Work(parts=9)
    in_parts(ROWS, Place(tmp_path, "local"), "model", again)
    assert again.done == [10, 10, 5]
