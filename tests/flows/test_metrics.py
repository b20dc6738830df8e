"""The figures for Prometheus: those of the tables, in a format that its own parser reads."""

import socket
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from flows.metrics import figures, serve
from storage.lake import Lake
from storage.publish import Books, publish
from storage.verdicts import Decision, decide
from tasks.inference.listen import ListenError
from tests.rows import write

STARTED = datetime(2026, 3, 1, 2, tzinfo=UTC)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Two batches, of which the newer one was scored and its model promoted."""
    found = Lake(str(tmp_path / "lake"))
    for batch in ("0001-a", "0002-b"):
        write(found, "runs", batch, [{"id": f"{batch}/start", "at": STARTED}], step="start")
    books = Books(10, {"curated": 7, "duplicates": 3})
    publish(found, "books", books.frame(), step="score", batch="0002-b", key="1" * 32)
    publish(found, "books", Books(5, {"curated": 5}).frame(), step="score", batch="0001-a", key="2" * 32)
    decide(found, Decision("base", None, "promote", ["The first one."]), batch="base")
    decide(found, Decision("sft-1", "base", "promote", ["Better."], {"metrics": []}), batch="0002-b")
    return found


def parsed(text: str) -> dict[tuple[str, ...], float]:
    """(name, label values in the order of their names ...) -> figure."""
    families = text_string_to_metric_families(text)
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for one in families
        for sample in one.samples
    }


def test_steps_verdicts_champion_and_times(lake: Lake) -> None:
    found = parsed(generate_latest(figures(lake)).decode())
    assert found["flywheel_step_rows_in", "collected", "score"] == 10
    assert found["flywheel_step_rows_out", "duplicates", "collected", "score"] == 3
    assert found["flywheel_champion", "sft-1"] == 1
    assert found["flywheel_verdicts", "promote"] == 1  # the first model was compared with nothing
    assert found["flywheel_run_started_seconds",] == STARTED.timestamp()
    assert ("flywheel_run_finished_seconds",) not in found
    assert found["flywheel_table_rows", "runs"] == 2


def test_a_scrape_shows_what_is_there_then(lake: Lake) -> None:
    server, thread = serve(lake, "127.0.0.1", 0)
    decide(lake, Decision("dpo-2", "sft-1", "promote", ["Better."], {"metrics": []}), batch="0003-c")
    told = httpx.get(f"http://127.0.0.1:{server.server_port}/metrics")
    server.shutdown()
    thread.join()
    server.server_close()
    assert told.headers["content-type"].startswith("text/plain")
    assert parsed(told.text)["flywheel_champion", "dpo-2"] == 1


def test_a_port_that_is_taken_is_said(lake: Lake) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ListenError, match="--port"):
        serve(lake, "127.0.0.1", taken.getsockname()[1])
