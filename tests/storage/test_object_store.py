"""The lake on a real S3 API: tables commit once, models travel between machines."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import polars as pl
import pytest
from deltalake.exceptions import CommitFailedError

from flows.laptop import free_port
from storage import publish as publishing
from storage import registry
from storage.lake import Lake
from storage.publish import publish
from storage.registry import Model
from storage.snapshot import digest


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """A bucket of an S3 server on the loopback."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait(f"{address}/moto-api/")
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test",
                "AWS_REGION": "us-east-1",
                "AWS_ENDPOINT_URL": address,
                "AWS_ALLOW_HTTP": "true",
            }.items():
                patch.setitem(os.environ, name, value)
            httpx.put(f"{address}/lakes").raise_for_status()
            yield "s3://lakes"
    finally:
        server.terminate()
        server.wait(10)


def _wait(url: str) -> None:
    for _ in range(300):
        try:
            httpx.get(url, timeout=5)
        except httpx.HTTPError:
            time.sleep(0.2)
        else:
            return
    pytest.fail("the S3 server did not start")


def rows(*ids: str) -> pl.DataFrame:
    return pl.DataFrame({"id": list(ids), "split": ["train"] * len(ids)})


def test_a_batch_is_there_once_and_replaced_whole(bucket: str) -> None:
    lake = Lake(f"{bucket}/once")
    for _ in range(2):
        publish(lake, "splits", rows("a", "b"), step="split", batch="1", key=digest("1"))
    assert sorted(lake.read("splits").collect()["id"]) == ["a", "b"]
    publish(lake, "splits", rows("c"), step="split", batch="1", key=digest("2"))
    assert lake.read("splits").collect()["id"].to_list() == ["c"]
    assert [(table.name, table.rows) for table in lake.status()] == [("splits", 1)]


def test_of_two_writers_at_once_one_is_told(bucket: str) -> None:
    lake = Lake(f"{bucket}/race")
    first, second = lake.ensure("splits"), lake.ensure("splits")
    frame = publishing.conform("splits", rows("a").with_columns(batch=pl.lit("1"), step=pl.lit("split")))
    publishing._commit(first, frame, "split", "1", "split/1", 5, replace=False)
    with pytest.raises(CommitFailedError):
        publishing._commit(second, frame, "split", "1", "split/1", 5, replace=False)
    assert lake.read("splits").collect().height == 1


def test_a_model_reaches_another_machine(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = Lake(f"{bucket}/models")
    monkeypatch.setenv("FLYWHEEL_CACHE", str(tmp_path / "one"))
    folder = lake.folder("models", "sft-1")
    (folder / "adapter").mkdir()
    (folder / "adapter" / "weights").write_text("w")
    registry.register(lake, Model("sft-1", "lm", "sft", str(folder), "t"), batch="1")

    monkeypatch.setenv("FLYWHEEL_CACHE", str(tmp_path / "two"))
    found = registry.get(lake, "sft-1")
    assert Path(found.path).is_relative_to(tmp_path / "two")
    assert (Path(found.path) / "adapter" / "weights").read_text() == "w"
