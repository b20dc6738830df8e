"""`engine: ray` on a cluster of several nodes on this machine: the rows that one machine makes, also when a node dies.

The sample's logs, with its copies and its personal data, and more conversations of the same product. Times say what
Ray costs on one machine, where it can win nothing.
"""

import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import polars as pl
import psutil
from ray._private.ray_constants import AGENT_PROCESS_LIST

from configs.load import parse
from configs.settings import Settings
from flows import curate
from storage.lake import Lake
from tests.bench._directly import called_directly
from tests.bench._night_data import SAMPLE, write_night
from tests.bench._table import show
from tests.tiny_model import make_tiny_model

NODES = 2
IDLE = ("ray::IDLE", *AGENT_PROCESS_LIST)
"""Names of Ray's processes that have no task."""
POLL_SECONDS = 0.02
TABLES = ("interactions", "signatures", "duplicates", "scrubbed", "quarantine", "splits", "curated")
QUICK_TO_NOTICE = {
    "health_check_initial_delay_ms": 500,
    "health_check_period_ms": 500,
    "health_check_failure_threshold": 3,
}


def run(*, quick: bool) -> dict[str, Any]:
    """Curate the same logs here, on the cluster, and on the cluster while one of its nodes is killed.

    Figures: same_ids (every row of every table is the same as here), survived_node_kill (so it is with a node killed in
    the middle of its work), and the seconds of each.
    """
    with tempfile.TemporaryDirectory(prefix="flywheel-bench-") as place:
        folder = Path(place)
        make_tiny_model(folder / "tiny")
        for night in range(1, 2 if quick else 5):
            write_night(folder, night, 100 if quick else 1_000)
        here, local = _curated(folder, "local")
        with _cluster() as nodes:
            there, spread = _curated(folder, "ray")
            with _killed_at_work(nodes) as killed:
                survived, disturbed = _curated(folder, "ray", "killed")
    outcomes = {"here": (local, here), "on Ray": (spread, there), "on Ray, a node killed": (disturbed, survived)}
    show(
        f"Curated on {NODES} nodes",
        ["", "seconds", "rows", "same rows"],
        [
            [name, f"{taken:.1f}", f"{rows.height:,}", str(rows.equals(here))]
            for name, (taken, rows) in outcomes.items()
        ],
    )
    return {
        "same_ids": here.equals(there),
        "survived_node_kill": killed.is_set() and here.equals(survived),
        "rows": here.height,
        "local_s": round(local, 1),
        "ray_s": round(spread, 1),
        "killed_s": round(disturbed, 1),
    }


def _curated(folder: Path, engine: str, name: str | None = None) -> tuple[pl.DataFrame, float]:
    """A hash of every row that curating wrote, by table, and the seconds that it took.

    Perplexity is left out: of it the last digits depend on how many threads add up (the tests compare it).
    """
    settings = _settings(folder, name or engine, engine)
    Path(f"{settings.lake}.secret").write_text("the same for all")
    start = time.monotonic()
    with called_directly(defaultdict(float)):
        curate.curate(settings)
    seconds = time.monotonic() - start
    lake = Lake(settings.lake)
    every = pl.struct(pl.exclude("perplexity", "answer_loss")).hash()
    made = [lake.read(table).select(table=pl.lit(table), row=every).collect() for table in TABLES]
    return pl.concat(made).sort("table", "row"), seconds


def _settings(folder: Path, name: str, engine: str) -> Settings:
    tree = {
        "lake": str(folder / name),
        "engine": engine,
        "collect": {
            "sources": [
                {"name": "chats", "path": str(SAMPLE / "logs")},
                {"name": "more", "path": str(folder / "logs")},
                {"name": "feedback", "path": str(SAMPLE / "feedback.jsonl"), "format": "feedback", "about": "chats"},
            ]
        },
        "model_name_or_path": str(folder / "tiny"),
        "score": {"reward": False},
    }
    return parse(tree, "the benchmark's settings")


@contextmanager
def _cluster() -> Iterator[Any]:
    """A head node without room for work, and nodes that work."""
    import ray
    from ray.cluster_utils import Cluster

    head: dict[str, Any] = {"num_cpus": 0, "include_dashboard": False, "_system_config": QUICK_TO_NOTICE}
    nodes: Any = Cluster(initialize_head=True, head_node_args=head)
    for _ in range(NODES):
        nodes.add_node(num_cpus=1)
    ray.init(address=nodes.address, log_to_driver=False)
    try:
        yield nodes
    finally:
        ray.shutdown()
        nodes.shutdown()


@contextmanager
def _killed_at_work(nodes: Any) -> Iterator[Event]:
    """One more node, which is killed as soon as it works; the event says that it was."""
    node = nodes.add_node(num_cpus=1)
    killed, over = Event(), Event()

    def watch() -> None:
        raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
        while not over.wait(POLL_SECONDS):
            if any(map(_works, raylet.children())):
                nodes.remove_node(node, allow_graceful=False)
                killed.set()
                return

    watcher = Thread(target=watch)
    watcher.start()
    try:
        yield killed
    finally:
        over.set()
        watcher.join()


def _works(worker: psutil.Process) -> bool:
    """Whether it has a task: Ray says so in the name that `ps` shows."""
    try:
        title = " ".join(worker.cmdline())
    except psutil.NoSuchProcess:
        return False
    return title.startswith("ray::") and not title.startswith(IDLE)
