"""One turn of the whole wheel: seconds and rows per step, and the peak of memory.

Figures: seconds_total, seconds_by_step, peak_gb, rows_by_step, balanced.
"""

import os
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import polars as pl
import psutil

from configs.load import load
from storage.lake import Lake
from tests.bench._table import show
from tests.tiny_model import make_tiny_model


def run(*, quick: bool) -> dict[str, Any]:
    """Turn the wheel on configs/quickstart.yaml in a new lake; quick takes a tiny model instead of SmolLM2."""
    with tempfile.TemporaryDirectory(prefix="flywheel-bench-") as folder:
        os.environ.setdefault("PREFECT_HOME", f"{folder}/prefect")
        os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
        os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")
        overrides = [f"lake={folder}/lake"]
        if quick:
            overrides.append(f"model_name_or_path={make_tiny_model(Path(folder) / 'tiny')}")
        settings = load("configs/quickstart.yaml", overrides)
        from flows.nightly import flywheel

        with Peak() as peak:
            start = time.monotonic()
            result = flywheel(settings)
            total = time.monotonic() - start
        lake = Lake(settings.lake)
        seconds = _seconds_by_step()
        books = lake.read("books").filter(pl.col("kind") != "fact").collect()
    flows = books.group_by("batch", "step").agg(
        into=pl.col("value").filter(pl.col("kind") == "in").sum(),
        out=pl.col("value").filter(pl.col("kind") == "out").sum(),
    )
    rows = dict(flows.group_by("step").agg(pl.col("into").sum()).sort("step").iter_rows())
    balanced = flows.filter(pl.col("into") != pl.col("out")).is_empty()
    show(
        f"The wheel: {total:.0f} s, {peak.gigabytes:.1f} GB, verdict {result.verdict}",
        ["step", "seconds", "rows in"],
        [[step, f"{took:.1f}", f"{rows.get(step, 0):,.0f}"] for step, took in seconds.items()],
    )
    return {
        "seconds_total": round(total, 1),
        "seconds_by_step": {step: round(took, 1) for step, took in seconds.items()},
        "peak_gb": round(peak.gigabytes, 2),
        "rows_by_step": {step: int(count) for step, count in rows.items()},
        "balanced": balanced,
    }


class Peak:
    """The most memory that this process and its children held at once: unique bytes, sampled ten times a second."""

    def __init__(self) -> None:
        self.gigabytes = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Peak":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        own = psutil.Process()
        while not self._stop.wait(0.1):
            total = 0
            for process in [own, *own.children(recursive=True)]:
                try:
                    total += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            self.gigabytes = max(self.gigabytes, total / 1e9)


def _seconds_by_step() -> dict[str, float]:
    """Run time per task, as Prefect has recorded it."""
    from prefect.client.orchestration import get_client

    seconds: dict[str, float] = {}
    with get_client(sync_client=True) as client:
        for task_run in sorted(client.read_task_runs(limit=200), key=lambda one: str(one.start_time)):
            if task_run.state and task_run.state.state_details.child_flow_run_id:
                continue  # stands for a subflow, whose own tasks count
            name = task_run.name.rpartition("-")[0]
            seconds[name] = seconds.get(name, 0.0) + task_run.total_run_time.total_seconds()
    return seconds
