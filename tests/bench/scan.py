"""What it costs to read one domain's prompts of one month: bytes that an S3 server serves, against those of the logs.

A year of logs is collected as always, published as curated rows the way `score` publishes them, kept by `maintain`,
and read through `Lake.read`, as mixing does. Scrubbing and scoring are left out: they change neither rows nor files.
"""

import os
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import polars as pl
from pyarrow.fs import FileSystem, copy_files

from configs.settings import CollectSettings, MaintainSettings, Source
from storage.columns import CONVERSATION
from storage.lake import Lake
from storage.maintain import maintain
from storage.publish import publish
from storage.snapshot import digest
from tasks.collect.run import collect_new
from tasks.text.conversation import prompt
from tests.bench._counting_s3 import SERVED
from tests.bench._scan_data import write_logs
from tests.bench._table import show
from tests.s3 import BUCKET, environment, s3_server

DOMAIN = "domain-0"  # the largest
BEGIN, END = datetime(2025, 6, 1, tzinfo=UTC), datetime(2025, 7, 1, tzinfo=UTC)


def run(*, quick: bool) -> dict[str, Any]:
    """Figures: bytes_touched_share (served over all bytes of the logs), and what it is made of."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "logs").mkdir()
        sizes = write_logs(folder / "logs", 50_000_000 if quick else 1_050_000_000)
        local = _lake(folder, sorted(sizes))
        expected = _asked(local)
        with s3_server(sys.executable, "-m", "tests.bench._counting_s3") as address:
            served, seconds, found = _at_s3(local, address)
        assert found.sort("id").equals(expected.sort("id"))
        table = sum(file.stat().st_size for file in Path(local.path("tables", "curated")).rglob("*.parquet"))
    logs = sum(sizes.values())
    share = served["bytes"] / logs
    rows = [
        ("logs, JSONL: all of it", f"{logs:,}"),
        (f"logs of {DOMAIN} alone", f"{sizes[DOMAIN]:,}"),
        ("table curated, all of it", f"{table:,}"),
        (f"served in {served['requests']} requests", f"{served['bytes']:,}"),
        ("text that was asked for", f"{found.write_ndjson().__len__():,}"),
    ]
    show("one domain's prompts of one month", ["what", "bytes"], rows)
    return {
        "bytes_touched_share": round(share, 5),
        "bytes_touched": served["bytes"],
        "bytes_jsonl": logs,
        "bytes_jsonl_of_the_domain": sizes[DOMAIN],
        "requests": served["requests"],
        "rows": found.height,
        "seconds": round(seconds, 2),
    }


def _lake(folder: Path, domains: list[str]) -> Lake:
    """A lake with a year of curated rows, maintained."""
    lake = Lake(str(folder / "lake"))
    sources = tuple(
        Source(name=name, path=str(folder / "logs" / f"{name}.jsonl"), format="openai_log", domain=name)
        for name in domains
    )
    collect_new(lake, CollectSettings(sources=sources))
    for batch in lake.read("interactions").select(pl.col("batch").unique().sort()).collect()["batch"]:
        rows = lake.read("interactions", batch=batch).select("id", *CONVERSATION).sort("id").collect()
        curated = rows.with_columns(origin=pl.lit("user"), split=pl.lit("train"), chars=pl.lit(1000))
        publish(lake, "curated", curated, step="score", batch=batch, key=digest(batch))
    maintain(lake, MaintainSettings(vacuum_hours=0))
    return lake


def _asked(lake: Lake) -> pl.DataFrame:
    """The question."""
    wanted = (pl.col("domain") == DOMAIN) & (pl.col("split") == "train")
    month = pl.col("occurred_at").is_between(BEGIN, END, closed="left")
    return lake.read("curated").filter(wanted, month).select("id", prompt()).collect()


def _at_s3(local: Lake, address: str) -> tuple[dict[str, int], float, pl.DataFrame]:
    """What the server served, the seconds it took, and the answer."""
    with patch.dict(os.environ, environment(address)):
        remote = Lake(f"s3://{BUCKET}/lake")
        store, root = FileSystem.from_uri(remote.path("tables", "curated"))
        copy_files(local.path("tables", "curated"), root, destination_filesystem=store)
        httpx.get(f"{address}{SERVED}")
        start = time.perf_counter()
        found = _asked(remote)
        seconds = time.perf_counter() - start
        return httpx.get(f"{address}{SERVED}").json(), seconds, found
