"""Figures of a lake's runs for Prometheus: rows, steps, trainings, verdicts and times; never texts.

They are read from the tables, so they outlive every process, and one scrape shows all runs whoever made them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from threading import Thread
from wsgiref.simple_server import WSGIServer

import polars as pl
from prometheus_client import CollectorRegistry, Gauge, Metric, start_http_server
from prometheus_client.registry import Collector

from storage.lake import Lake
from storage.verdicts import champion
from tasks.inference.listen import refused
from tasks.report import judged, tables

NAME = "flywheel"
Sample = tuple[tuple[str, ...], float]


def figures(lake: Lake) -> CollectorRegistry:
    """All figures as they are now; those of steps, trainings and comparisons are the newest batch's."""
    registry = CollectorRegistry()

    def show(name: str, what: str, labels: Iterable[str], samples: Sequence[Sample]) -> None:
        if not samples:  # a gauge that nobody set would say 0
            return
        gauge = Gauge(f"{NAME}_{name}", what, tuple(labels), registry=registry)
        for values, figure in samples:
            (gauge.labels(*values) if values else gauge).set(figure)

    status = lake.status()
    show("table_rows", "Rows of a table.", ["table"], [((one.name,), one.rows) for one in status])
    show("table_bytes", "Bytes of a table's files.", ["table"], [((one.name,), one.size) for one in status])
    runs = _runs(lake)
    show("run_started_seconds", "When the newest run began.", [], [((), at) for at in runs["start"]])
    show("run_finished_seconds", "When a run was last finished.", [], [((), at) for at in runs["finish"]])
    verdicts = pl.Series([one.verdict for one in judged.verdicts(lake)], dtype=pl.String).value_counts()
    show("verdicts", "Verdicts so far.", ["verdict"], [((name,), count) for name, count in verdicts.iter_rows()])
    show("champion", "1 for the model that serves.", ["model"], [((name,), 1) for name in [champion(lake)] if name])
    if batch := _newest(lake):
        steps = tables.funnel(lake, batch)
        inside = [((row.step, _kind(row)), row.rows_in) for row in steps]
        show("step_rows_in", "Rows that went into a step.", ["step", "rows"], inside)
        outside = [((row.step, _kind(row), name), count) for row in steps for name, count in row.out]
        show("step_rows_out", "What became of them.", ["step", "rows", "outcome"], outside)
        trained = tables.losses(lake, batch)
        show("training_seconds", "Seconds of a training.", ["stage"], [((row.stage,), row.seconds) for row in trained])
        show("training_loss", "Its loss at the end.", ["stage"], [((row.stage,), row.last) for row in trained])
        compared = [
            ((row.name, role), figure)
            for row in judged.comparison(lake, batch)
            for role, figure in (("champion", row.champion), ("challenger", row.challenger))
        ]
        show("evaluation", "A model's score by a metric.", ["metric", "model"], compared)
    return registry


def serve(lake: Lake, host: str, port: int) -> tuple[WSGIServer, Thread]:
    """Answer `GET /metrics` from the lake as it is then; 0 takes a free port.

    Returns:
        The server, and its thread.

    Raises:
        ListenError: the port is taken, or the address is not this machine's.
    """
    registry = CollectorRegistry()
    registry.register(Figures(lake))
    try:
        return start_http_server(port, host, registry)
    except OSError as error:
        raise refused(host, port, error) from error


@dataclass(frozen=True, eq=False)  # the registry keeps them in a dictionary
class Figures(Collector):
    """Those of a lake, read anew whenever they are asked for."""

    lake: Lake

    def collect(self) -> Iterable[Metric]:
        """What Prometheus' client asks for."""
        return figures(self.lake).collect()


def _kind(row: tables.FunnelRow) -> str:
    return "synthetic" if row.synthetic else "collected"


def _runs(lake: Lake) -> dict[str, list[float]]:
    """The newest time of each kind of row in the table runs, as seconds since 1970; none before the first."""
    newest = lake.read("runs").group_by("step").agg(pl.col("at").max().dt.epoch("s")).collect()
    found = dict(newest.iter_rows())
    return {step: [float(found[step])] if step in found else [] for step in ("start", "finish")}


def _newest(lake: Lake) -> str | None:
    found: str | None = lake.read("runs", step="start").select(pl.col("batch").max()).collect().item()
    return found
