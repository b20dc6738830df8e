"""The same records come out of every container, and a broken one never stops a run."""

import csv
import gzip
import io
import json
from pathlib import Path

import fsspec
import polars as pl
import pyarrow as pa
import pytest
import xlsxwriter
from datasets import Dataset, DatasetDict

from configs.settings import CollectSettings, Source
from storage.lake import Lake
from tasks.collect.run import collect_new

ROWS = [{"question": f"What is {at} plus {at}?", "answer": f"It is {2 * at}, “of course”."} for at in range(5)]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()


def comma_separated(delimiter: str) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, ["question", "answer"], delimiter=delimiter)
    writer.writeheader()
    writer.writerows(ROWS)
    return out.getvalue().encode()


def parquet() -> bytes:
    out = io.BytesIO()
    pl.DataFrame(ROWS).with_columns(nothing=pl.lit(None, pl.String)).write_parquet(out)
    return out.getvalue()


def zstd(data: bytes) -> bytes:
    out = pa.BufferOutputStream()
    with pa.CompressedOutputStream(out, "zstd") as packed:
        packed.write(data)
    return out.getvalue().to_pybytes()


def excel() -> bytes:
    """Two sheets, with an empty row and an empty column, and a third one that is empty."""
    out = io.BytesIO()
    with xlsxwriter.Workbook(out) as book:
        for part in (ROWS[:3], ROWS[3:], []):
            sheet = book.add_worksheet()
            if part:
                sheet.write_row(0, 0, ["question", "answer", "tags"])
            for at, row in enumerate(part):
                sheet.write_row(1 + at + (at > 0), 0, list(row.values()))
    return out.getvalue()


FILES = {
    "rows.jsonl": LINES,
    "rows.ndjson": LINES,
    "rows.log.3": LINES,
    "rows.jsonl.gz": gzip.compress(LINES),
    "rows.jsonl.zst": zstd(LINES),
    "two_members.jsonl.gz": gzip.compress(LINES[:60]) + gzip.compress(LINES[60:]),
    "array.json": json.dumps(ROWS, indent=2).encode(),
    "page.json": json.dumps({"data": ROWS, "meta": {"page": 1}}).encode(),
    "lines.json": LINES,
    "array.json.gz": gzip.compress(json.dumps(ROWS).encode()),
    "rows.csv": comma_separated(","),
    "rows.tsv": comma_separated("\t"),
    "rows.csv.gz": gzip.compress(comma_separated(",")),
    "rows.parquet": parquet(),
    "rows.xlsx": excel(),
    "rows.xlsx.gz": gzip.compress(excel()),
    "no_suffix": LINES,
    "no_suffix_array": json.dumps(ROWS).encode(),
    "no_suffix_parquet": parquet(),
}


def collected(lake: Lake, path: object) -> pl.DataFrame:
    collect_new(lake, CollectSettings(sources=(Source(name="s", path=str(path)),)))
    return lake.read("interactions").collect()


@pytest.mark.parametrize("name", FILES)
def test_every_container_gives_the_same_rows(name, lake, tmp_path):
    file = tmp_path / name
    file.write_bytes(FILES[name])
    rows = collected(lake, file)
    said = [[turn["content"] for turn in messages] for messages in rows["messages"]]
    assert sorted(said) == sorted([row["question"], row["answer"]] for row in ROWS)


@pytest.mark.parametrize(
    ("name", "data", "least"),
    [
        ("cut.jsonl.gz", gzip.compress(LINES * 5000)[:-30], 5),
        ("no.jsonl.gz", b"this is no gzip", 0),
        ("no.xlsx", b"PK this is no workbook", 0),
        ("cut.xlsx", excel()[:-200], 0),
        ("no.parquet", b"PAR1 and no more", 0),
        ("no.jsonl.zst", b"\x28\xb5\x2f\xfd broken", 0),
        ("bad.csv", b'question,answer\nfine,fine\n"open,never closed', 1),
        ("short.csv", b"question,answer\nonly one field\nfine,fine\n", 1),
        ("latin.csv", "question,answer\nfine,fine\ncaf\xe9,x\n".encode("latin-1"), 0),
        ("bytes.jsonl", b'\xff\xfe\x00\n{"question": "fine", "answer": "fine"}\n', 1),
    ],
)
def test_a_broken_file_gives_what_it_has_and_one_bad_record(name, data, least, lake, tmp_path):
    file = tmp_path / name
    file.write_bytes(data)
    rows = collected(lake, file)
    assert rows.height >= least
    bad = lake.read("quarantine").collect()
    assert bad.height == 1
    assert bad["reason"][0]


def test_text_files_are_documents_and_corpora_have_one_a_line(lake, tmp_path):
    folder = tmp_path / "pages"
    folder.mkdir()
    (folder / "page.md").write_text("# Title\n\nA page.\n")
    (folder / "wrapped.txt").write_text("A text that was\nwrapped by hand.\n")
    (folder / "corpus.txt").write_text("\n".join(f"{at} " + "long " * 300 for at in range(3)))
    (folder / ".hidden.md").write_text("never read")
    (folder / "empty.md").write_text("")
    (folder / "picture.png").write_bytes(b"\x89PNG")
    rows = collected(lake, folder)
    assert rows.height == 5
    assert set(rows["kind"]) == {"document"}
    assert rows["messages"].list.first().struct.field("role").unique().to_list() == ["document"]


@pytest.mark.parametrize("path", [".data/logs", ".data/logs/*.jsonl", ".data/**/day.jsonl", ".data/logs/day.jsonl"])
def test_hidden_files_are_left_out_but_not_what_lies_in_a_hidden_folder_that_is_named(path, lake, tmp_path):
    folder = tmp_path / ".data" / "logs"
    folder.mkdir(parents=True)
    (folder / "day.jsonl").write_bytes(LINES)
    (folder / ".day.jsonl.part").write_bytes(LINES.replace(b"plus", b"and"))
    assert collected(lake, tmp_path / path).height == len(ROWS)


def saved_to_disk(folder: Path) -> None:
    DatasetDict({"train": Dataset.from_list(ROWS[:3]), "test": Dataset.from_list(ROWS[3:])}).save_to_disk(
        folder, num_shards={"train": 2, "test": 1}
    )


def repository(folder: Path) -> None:
    """As the hub has data sets: Parquet by split, a card, git's own files."""
    for split, rows in {"train": ROWS[:3], "test": ROWS[3:]}.items():
        (folder / "data").mkdir(parents=True, exist_ok=True)
        Dataset.from_list(rows).to_parquet(folder / "data" / f"{split}-00000-of-00001.parquet")
    (folder / ".gitattributes").write_text("*.parquet filter=lfs\n")


@pytest.mark.parametrize("make", [saved_to_disk, repository])
def test_a_folder_of_a_hugging_face_data_set(make, lake, tmp_path):
    make(tmp_path / "saved")
    (tmp_path / "saved" / "README.md").write_text("A card that describes the data.")
    assert collected(lake, tmp_path / "saved").height == len(ROWS)
    assert lake.read("quarantine").collect().height == 0


def test_a_uri_is_read_like_a_path(lake):
    memory = fsspec.filesystem("memory")
    memory.pipe("/logs/day-1.jsonl", LINES)
    memory.pipe("/logs/deep/day-2.jsonl.gz", gzip.compress(LINES.replace(b"plus", b"and")))
    assert collected(lake, "memory://logs/**/*.jsonl*").height == 2 * len(ROWS)
    memory.pipe("/logs/day-1.jsonl", LINES + LINES.replace(b"plus", b"times"))
    assert collected(lake, "memory://logs/**/*.jsonl*").height == 3 * len(ROWS)
    memory.rm("/logs", recursive=True)
