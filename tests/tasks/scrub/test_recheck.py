"""The second look over scrubbed rows, through the door: what it finds is mended or kept out."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from configs.settings import Recognizer, Replacement, ScrubSettings
from storage.lake import Lake
from storage.publish import publish
from storage.snapshot import digest
from storage.tables import TABLES
from tasks.scrub.task import scrub

# Seen only once a placeholder stands before it: what a name engine does when the words around a name have changed.
SHY = Recognizer(entity="SHY", pattern=r"(?<=<EMAIL_ADDRESS_\d>, )[A-Z]\w+", score=0.9)
# Seen however often it is looked for, as it is found in what stands instead of it.
STUBBORN = Recognizer(entity="STUBBORN", pattern=r"(?<=<EMAIL_ADDRESS_\d>, )[*A-Z][*\w]+", score=0.9)
TEXT = "Ask ann@example.org, Quibble or Quabble."
NAMES = ("PERSON", "LOCATION", "ORGANIZATION")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def run(lake: Lake, text: str, **settings: Any) -> tuple[pl.DataFrame, dict[str, float]]:
    message = {"role": "user", "content": text}
    row = {"id": "a", "kind": "conversation", "source": "log", "conversation_id": "a", "language": "en"}
    row |= {"messages": [message], "domain": "product", "consent": True}
    schema = TABLES["interactions"].schema
    frame = pl.DataFrame([row], schema={name: schema[name] for name in row})
    rows = publish(lake, "interactions", frame, step="test", batch="1", key=digest("rows"))
    none = pl.DataFrame(schema={"id": pl.String})
    duplicates = publish(lake, "duplicates", none, step="test", batch="1", key=digest("none"))
    snapshot = scrub.fn(lake, rows, duplicates, ScrubSettings(workers=1, **settings))
    books = lake.read("books", step="scrub").select("name", "value").collect()
    return lake.scan(snapshot).collect(), dict(books.iter_rows())


def test_what_the_second_look_finds_is_replaced_too(lake: Lake) -> None:
    out, books = run(lake, TEXT, recognizers=(SHY,), keep=NAMES)
    assert out["messages"][0][0]["content"] == "Ask <EMAIL_ADDRESS_1>, <SHY_1> or Quabble."
    assert out["entities"][0].to_list() == [{"type": "EMAIL_ADDRESS", "count": 1}, {"type": "SHY", "count": 1}]
    assert [books[f"recheck_{name}"] for name in ("rows", "findings", "rows_mended", "rows_refused")] == [1, 1, 1, 0]
    assert lake.read("placeholders").collect().height == 2


def test_a_row_in_which_something_is_found_again_and_again_does_not_pass(lake: Lake) -> None:
    masked = (Replacement(entity="STUBBORN", mode="mask"),)
    out, books = run(lake, TEXT, recognizers=(STUBBORN,), replacements=masked, keep=NAMES)
    assert out.is_empty()
    assert (books["recheck_rows_refused"], books["quarantined"]) == (1, 1)
    assert lake.read("quarantine").collect()["reason"].to_list() == ["scrub: a third look still found STUBBORN"]


def test_nothing_is_left_in_what_was_scrubbed_well(lake: Lake) -> None:
    _, books = run(lake, "Ask ann@example.org or call +1 415 555 2671.")
    assert (books["recheck_rows"], books["recheck_findings"]) == (1, 0)


def test_surrogates_are_not_taken_for_people(lake: Lake) -> None:
    out, books = run(lake, "My name is Amelia Hartwell, write to amelia@hartwell.org.", replacement="surrogate")
    assert books["recheck_findings"] == 0
    said = out["messages"][0][0]["content"]
    assert said.startswith("My name is ")
    assert "Hartwell" not in said
    assert "<" not in said
    assert set(lake.read("placeholders").collect()["placeholder"]) == {
        said[len("My name is ") : said.index(", write")],
        said.split(" ")[-1].rstrip("."),
    }
