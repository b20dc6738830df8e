"""Speed and memory of collect, beside plain `polars.read_ndjson` of the same log; and of the HTTP collector.

The log is the product assistant's of tests/sample, repeated with ids and words of its own per copy, so that no record
repeats another. Ours has 1% broken lines on top, on which plain Polars stops.

The collector answers keep-alive connections of another process; every answer waits for an fsync. The figures are those
of one record a request and 32 connections.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import polars as pl

from configs.settings import CollectSettings, Source
from storage.lake import Lake
from tasks.collect.run import collect_new
from tests.bench._table import show
from tests.sample.make import logged, talks
from tests.sample.talk import Writer
from tests.tasks.collect.samples import SAMPLES

MEGABYTE = 1_000_000
IDS = {"id", "traceId", "trace_id", "spanId", "observation_id", "target_id", "message_id"}
LOADS = ((1, 1), (8, 1), (32, 1), (64, 1), (8, 50))
"""Connections and records a request."""
MEASURED = (32, 1)
CHILD = """
import sys
from pathlib import Path
from tests.bench.collect import collected
collected(Path(sys.argv[1]), Path(sys.argv[2]))
print(next(line for line in Path("/proc/self/status").open() if line.startswith("VmHWM")).split()[1])
"""


def run(*, quick: bool) -> dict[str, Any]:
    """Speed of every format, of a log beside Polars, and how the peak of memory grows with ten times the input.

    Figures: jsonl_vs_polars (ours over theirs, in MB/s), peak_growth_ratio, collector_rps, collector_p99_ms (from
    sending a request to its answer), and the table's.
    """
    small, large, records = (5, 50, 2_000) if quick else (100, 1000, 20_000)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        formats = {name: _format_speed(folder, name, records) for name in SAMPLES}
        clean = _write(folder / "clean.jsonl", small, broken=0)
        dirty = _write(folder / "dirty.jsonl", small, broken=100)
        theirs = clean.stat().st_size / MEGABYTE / _timed(lambda: pl.read_ndjson(clean))
        seconds = _timed(lambda: collected(folder / "lake", dirty))
        ours = dirty.stat().st_size / MEGABYTE / seconds
        low = _peak(folder / "lake-small", dirty)
        high = _peak(folder / "lake-large", _write(folder / "large.jsonl", large, broken=100))
        loads = _collector(folder / "lake-http", requests=1_000 if quick else 20_000)
    rows = [(name, f"{speed['records_per_s']:,}", speed["mb_per_s"]) for name, speed in formats.items()]
    rows.append((f"openai_log, {small} MB, 1% broken", "", round(ours, 1)))
    rows.append(("the same by polars.read_ndjson, none broken", "", round(theirs, 1)))
    show("collect", ["format", "records/s", "MB/s"], rows)
    columns = ["connections x records a request", "requests/s", "records/s", "p50 ms", "p99 ms"]
    show("collector", columns, [(f"{load[0]} x {load[1]}", *found.values()) for load, found in loads.items()])
    show("peak memory", ["input", "peak"], [(f"{small} MB", f"{low:.0f} MB"), (f"{large} MB", f"{high:.0f} MB")])
    return {
        "jsonl_vs_polars": round(ours / theirs, 2),
        "peak_growth_ratio": round(high / low, 2),
        "collector_rps": loads[MEASURED]["requests_per_s"],
        "collector_p99_ms": loads[MEASURED]["p99_ms"],
        "jsonl_mb_per_s": round(ours, 1),
        "polars_mb_per_s": round(theirs, 1),
        "formats": formats,
    }


def collected(lake: Path, file: Path) -> None:
    """Collect one file into a new lake; its format is told by its keys."""
    collect_new(Lake(str(lake)), CollectSettings(sources=(Source(name="bench", path=str(file)),)))


def _collector(lake: Path, requests: int) -> dict[tuple[int, int], dict[str, float]]:
    """Speed of the collector under each of LOADS."""
    command = [sys.executable, "-m", "flows.cli", "collector", "--port", "0", "--set", f"lake={lake}"]
    found = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        port = running.stdout.readline().split()[2].rpartition(":")[2]
        try:
            for connections, records in LOADS:
                count = requests // records // (4 if connections == 1 else 1)
                sender = [sys.executable, "-m", "tests.bench._collect_load", port]
                sender += [str(number) for number in (connections, count, records)]
                said = subprocess.run(sender, capture_output=True, text=True, check=True).stdout
                found[connections, records] = json.loads(said)
        finally:
            running.terminate()
    return found


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _peak(lake: Path, file: Path) -> float:
    """Peak resident memory in MB of a process that collects a file; `getrusage` would count its parent's, too."""
    command = [sys.executable, "-c", CHILD, str(lake), str(file)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout) / 1024


def _write(path: Path, megabytes: int, broken: int) -> Path:
    """A log of about that size; every `broken`th line is cut."""
    with path.open("wb") as out:
        for number, line in enumerate(_log()):
            out.write(line)
            if broken and number % broken == 0:
                out.write(line[: len(line) // 2].replace(b"\n", b" ") + b"\n")
            if out.tell() >= megabytes * MEGABYTE:
                return path
    return path


def _log() -> Iterator[bytes]:
    """Lines of the sample's log without end, each one with an id, a user and a question of its own."""
    writer = Writer(Random(17))
    lines = [json.dumps(request.record).encode() for talk in talks(writer) for request in logged(writer, talk)]
    asked = b'"role": "user", "content": "'
    for copy in count(1):
        mark = str(copy).encode()
        for line in lines:
            told = line.replace(b"chatcmpl-", b"chatcmpl-" + mark).replace(b"client-", b"client-" + mark)
            yield told.replace(asked, asked + mark + b" ", 1) + b"\n"


def _numbered(value: Any, number: int, key: str = "") -> Any:
    """A record like `value` with ids and sentences of its own."""
    if isinstance(value, dict):
        return {name: _numbered(part, number, name) for name, part in value.items()}
    if isinstance(value, list):
        return [_numbered(part, number) for part in value]
    sentence = isinstance(value, str) and " " in value and value[0] not in "[{"
    return f"{value} {number}" if sentence or key in IDS else value


def _format_speed(folder: Path, name: str, records: int) -> dict[str, float]:
    """Records and MB a second of one format."""
    file = folder / f"{name}.jsonl"
    with file.open("w") as out:
        for number in range(records):
            out.write(json.dumps(_numbered(SAMPLES[name][number % len(SAMPLES[name])], number)) + "\n")
    seconds = _timed(lambda: collected(folder / f"lake-{name}", file))
    size = file.stat().st_size / MEGABYTE
    return {"records_per_s": round(records / seconds), "mb_per_s": round(size / seconds, 1)}
