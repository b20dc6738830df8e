"""Work spread over threads and over a real Ray cluster of several nodes, of which one dies."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from polars.testing import assert_frame_equal

from configs.mistake import Mistake
from configs.settings import DedupeSettings, ScoreSettings, ScrubSettings
from storage.lake import Lake
from storage.snapshot import Snapshot
from tasks.dedupe.task import dedupe
from tasks.engine.spread import spread
from tasks.score import resume
from tasks.score.task import score
from tasks.scrub.task import scrub
from tests.rows import write
from tests.tiny_model import make_tiny_model

ITEMS = 24
MADE = ("duplicates", "signatures", "scrubbed", "curated")


def asked(lake: Lake, texts: list[str]) -> Snapshot:
    rows = [
        {
            "id": f"{number:05d}",
            "kind": "conversation",
            "consent": True,
            "messages": [{"role": "user", "content": text}],
        }
        for number, text in enumerate(texts)
    ]
    return write(lake, "interactions", "0001-day", rows, step="collect")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head node without room for work, and two that work."""
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    quick = {"health_check_initial_delay_ms": 500, "health_check_period_ms": 500, "health_check_failure_threshold": 3}
    nodes = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, "_system_config": quick}
    )
    nodes.add_node(num_cpus=1)
    ray.init(address=nodes.address, log_to_driver=False)
    yield nodes
    ray.shutdown()
    nodes.shutdown()


def test_threads_keep_the_order_and_take_items_as_they_need_them() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    results = spread(lambda number: -number, items(), engine="local", threads=2)
    assert next(results) == 0
    assert len(taken) <= 5
    assert [0, *results] == [-number for number in range(100)]


def test_an_error_in_the_work_arrives() -> None:
    with pytest.raises(ZeroDivisionError):
        list(spread(lambda number: 1 // number, [1, 0], engine="local"))


def test_a_cluster_that_is_not_there_is_said_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    with pytest.raises(Mistake, match="No Ray cluster answers at"):
        list(spread(abs, [1], engine="ray"))


@pytest.mark.slow
def test_a_node_that_dies_costs_time_but_no_result(cluster: Any) -> None:
    def slow_square(number: int) -> int:
        time.sleep(0.2)
        return number * number

    doomed = cluster.add_node(num_cpus=1)
    results = spread(slow_square, range(ITEMS), engine="ray")
    first = next(results)
    cluster.remove_node(doomed, allow_graceful=False)
    assert [first, *results] == [number * number for number in range(ITEMS)]


@pytest.mark.slow
def test_ray_curates_the_rows_that_this_machine_curates(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLYWHEEL_SECRET", "the same for both")
    monkeypatch.setattr(resume, "PART", 300)
    scoring, model = ScoreSettings(reward=False, max_tokens=64), str(make_tiny_model(tmp_path / "tiny"))
    texts = [f"what is the capital of country number {number % 700}?" for number in range(1000)]
    texts += [
        f"I am Anna Miller, mail anna{number}@example.org or call 415 555 0{number}" for number in range(100, 130)
    ]
    texts += [f"Please, what is the capital of country number {number}" for number in range(300)]
    found = []
    for engine in ("local", "ray"):
        lake = Lake(str(tmp_path / engine))
        rows = asked(lake, texts)
        duplicates = dedupe.fn(lake, rows, DedupeSettings(), engine)
        clean = scrub.fn(lake, rows, duplicates, ScrubSettings(), engine)
        sides = write(lake, "splits", "0001-day", [{"id": f"{number:05d}", "split": "train"} for number in range(1330)])
        score.fn(lake, clean, [duplicates], sides, None, scoring, model, 3, engine)
        found.append([lake.read(name).sort("id").collect() for name in MADE])
    for here, there in zip(*found, strict=True):
        assert here.height
        assert_frame_equal(here, there, rel_tol=1e-5)  # of floating-point numbers: one thread adds in another order
