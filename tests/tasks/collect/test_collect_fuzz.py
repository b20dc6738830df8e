"""100,000 mutated lines over all formats: none stops a run, each is accounted for, and the books balance."""

import json
from pathlib import Path
from random import Random
from typing import Any

import polars as pl
import pytest

from configs.settings import CollectSettings, Source
from storage.lake import Lake
from tasks.collect.run import collect_new
from tasks.records.formats.registry import UNEXPECTED
from tests.tasks.collect.samples import SAMPLES

VALUES = [
    None,
    True,
    -1,
    0.5,
    1e300,
    2**70,
    "",
    "x",
    "\u0000",
    "{",
    "[1",
    [],
    [[]],
    {},
    {"role": "user"},
    [None],
    "user",
]


def places(value: Any, path: tuple = ()) -> list[tuple]:
    """The paths of everything inside a JSON value."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, below in inside for found in ((*path, key), *places(below, (*path, key)))]


def changed(random: Random, record: dict) -> dict:
    """A record with a few of its values replaced, dropped, renamed or wrapped."""
    copy = json.loads(json.dumps(record))
    for _ in range(random.randint(1, 3)):
        path = random.choice(places(copy) or [()])
        if not path:
            continue
        above = copy
        for key in path[:-1]:
            above = above[key]
        way = random.randrange(5)
        if way == 0:
            above[path[-1]] = random.choice(VALUES)
        elif way == 1:
            del above[path[-1]]
        elif way == 2:
            above[path[-1]] = [above[path[-1]]]
        elif way == 3 and isinstance(above, dict):
            above[str(path[-1]).upper()] = above.pop(path[-1])
        else:
            above[path[-1]] = json.dumps(above[path[-1]])
    return copy


def broken(random: Random, line: bytes) -> bytes:
    """A line with bytes flipped, cut, doubled or put in."""
    data = bytearray(line)
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(data) + 1)
        way = random.randrange(5)
        if way == 0 and at < len(data):
            data[at] = random.randrange(256)
        elif way == 1:
            del data[at : at + random.randint(1, 20)]
        elif way == 2:
            data[at:at] = data[at : at + 10]
        elif way == 3:
            data[at:at] = random.choice([b"\\ud800", b'"', b"}", b"\xff", b"\x00", b"NaN", b"\r", b"9" * 400])
        else:
            del data[at:]
    return bytes(data).replace(b"\n", b" ")


def mutated(random: Random, count: int) -> list[bytes]:
    every = [record for records in SAMPLES.values() for record in records]
    lines = []
    while len(lines) < count:
        record = random.choice(every)
        if random.random() < 0.6:
            record = changed(random, record)
        line = json.dumps(record, ensure_ascii=random.random() < 0.5).encode("utf-8", "surrogatepass")
        lines.append(broken(random, line) if random.random() < 0.5 else line)
    return [line for line in lines if line.strip()]


def collected(folder: Path, lines: list[bytes], form: str) -> dict[str, float]:
    """The books of collecting `lines`; `run_step` refuses books that do not balance."""
    (folder / "lines.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    lake = Lake(str(folder / "lake"))
    settings = CollectSettings(sources=(Source(name="s", path=str(folder / "lines.jsonl"), format=form, about="s"),))
    snapshot = collect_new(lake, settings)
    assert snapshot is not None
    books = lake.read("books", batch=snapshot.batch).filter(pl.col("kind") != "fact").collect()
    reasons = lake.read("quarantine").collect()["reason"]
    assert reasons.null_count() == 0
    assert all(reasons)
    assert reasons.filter(reasons.str.starts_with(UNEXPECTED)).to_list() == []
    rows = lake.read("interactions").collect()
    assert rows["id"].n_unique() == rows.height
    assert rows.filter(pl.col("messages").list.len() == 0).height == 0
    return dict(books.select("name", "value").iter_rows())


@pytest.mark.slow
def test_100_000_mutated_lines(tmp_path):
    lines = mutated(Random(3), 100_000)
    books = collected(tmp_path, lines, "auto")
    assert books["rows"] >= len(lines)  # some lines hold several things
    assert books["quarantined"] > 1000
    assert books["interactions"] > 500
    assert books["feedback"] > 300


@pytest.mark.parametrize("form", SAMPLES)
def test_lines_of_every_format_read_as_one(form, tmp_path):
    lines = mutated(Random(4), 600)
    assert collected(tmp_path, lines, form)["rows"] >= len(lines)
