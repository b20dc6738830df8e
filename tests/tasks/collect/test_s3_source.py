"""Logs in an object store, on a real S3 API: found by folder and glob, tailed when they grow, each record once."""

import gzip
import json
from pathlib import Path

import fsspec
import pytest

from configs.settings import CollectSettings, Source
from storage.lake import Lake
from tasks.collect.run import anything_new, collect_new
from tasks.records.files import SourceError


def lines(*names: str) -> bytes:
    rows = ({"id": name, "question": f"What is {name}?", "answer": f"It is {name}."} for name in names)
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


@pytest.mark.parametrize("pattern", ["logs", "logs/**/*.jsonl*"])
def test_logs_in_a_bucket_are_tailed_rotated_and_taken_once(bucket: str, pattern: str, tmp_path: Path) -> None:
    place = f"{bucket}/{tmp_path.name}"
    store = fsspec.filesystem("s3")
    lake = Lake(str(tmp_path / "lake"))
    settings = CollectSettings(sources=(Source(name="chats", path=f"{place}/{pattern}"),), batch_bytes=100)

    def taken() -> int:
        collect_new(lake, settings)
        rows = lake.read("interactions").collect()
        assert rows["id"].n_unique() == rows.height
        return rows.height

    store.pipe(f"{place}/logs/2026/day.jsonl", lines("a", "b", "c"))
    store.pipe(f"{place}/logs/old.jsonl.gz", gzip.compress(lines("d")))
    assert taken() == 4
    assert not anything_new(lake, settings)
    store.pipe(f"{place}/logs/2026/day.jsonl", lines("a", "b", "c", "e"))  # an object grows by being written anew
    assert taken() == 5
    newest = lake.read("sources").filter(uri=f"{place}/logs/2026/day.jsonl".removeprefix("s3://")).collect()
    assert newest["start"].max() == len(lines("a", "b", "c"))
    store.mv(f"{place}/logs/2026/day.jsonl", f"{place}/logs/2026/day.jsonl.1")
    store.pipe(f"{place}/logs/2026/day.jsonl", lines("f"))
    assert taken() == 6
    assert lake.read("quarantine").collect().height == 0


def test_an_address_that_nobody_serves_is_said(tmp_path: Path) -> None:
    settings = CollectSettings(sources=(Source(name="chats", path="nowhere://bucket/logs"),))
    with pytest.raises(SourceError, match=r"nowhere://bucket/logs cannot be opened: .*nowhere"):
        collect_new(Lake(str(tmp_path / "lake")), settings)


def test_a_bucket_or_folder_that_is_not_there_is_said(bucket: str, tmp_path: Path) -> None:
    for path in (f"{bucket}/nowhere", "s3://no-such-bucket/logs"):
        settings = CollectSettings(sources=(Source(name="chats", path=path),))
        with pytest.raises(SourceError, match=r"Source chats: s3://.* does not exist"):
            collect_new(Lake(str(tmp_path / "lake")), settings)
