"""Dedupe against its peers, against brute force, against ten times the texts, and against kill -9.

The peers live in an environment of their own:

    python -m venv .venv-bench
    .venv-bench/bin/pip install pyarrow orjson spacy datasketch rensa "datatrove[processing]"

Without it their figures are null. FLYWHEEL_BENCH_PYTHON names another Python that has them.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from storage.lake import Lake
from tasks.dedupe.compare import pairs_within
from tasks.dedupe.entries import entries
from tasks.dedupe.find import components
from tests.bench import _dedupe_data as data
from tests.bench._dedupe_job import SETTINGS, kept_ids, sign_texts
from tests.bench._dedupe_truth import Truth, quality, truth
from tests.bench._table import show

ROOT = Path(__file__).parents[2]
GOALS = {"datasketch": 10, "rensa": 4, "datatrove": 60}
RUNS = 2
KILLS = 10


def run(*, quick: bool) -> dict[str, Any]:
    """Measure everything and print it.

    Returns:
        vs_datasketch, vs_rensa, vs_datatrove: how many times faster, null without the peer; precision, recall;
        growth_time_ratio, growth_peak_gb; incremental_ratio; and the figures behind them.
    """
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as made:
        folder = Path(made)
        figures = speed(folder, None if not quick else 3_000)
        figures |= found(folder, 5_000 if not quick else 1_000)
        small, large, night = (200_000, 2_000_000, 20_000) if not quick else (5_000, 50_000, 1_000)
        figures |= growth(folder, small, large, night)
        figures |= kills(folder, 20_000 if not quick else 1_000, KILLS if not quick else 2)
    return figures


def speed(folder: Path, count: int | None) -> dict[str, Any]:
    """The whole job, from a Parquet file to what stays."""
    path = folder / "texts.parquet"
    texts = data.real_texts(count)
    texts.write_parquet(path)
    seconds: dict[str, float] = {}
    for number in range(RUNS):  # in turn, so that what else the machine does falls on all of them; the best one counts
        for name in ("flywheel", *GOALS):
            if name == "datatrove" and number:  # minutes long
                continue
            result = _job("texts", str(path)) if name == "flywheel" else _peer(name, path, folder)
            if result is not None:
                seconds[name] = min(result["seconds"], seconds.get(name, result["seconds"]))
    rows = [
        (name, f"{taken:.2f}", f"{texts.height / taken:,.0f}", f"{taken / seconds['flywheel']:.1f}x", _goal(name))
        for name, taken in seconds.items()
    ]
    show(f"The whole job on {texts.height:,} prompts", ["", "seconds", "texts/s", "flywheel is", "goal"], rows)
    ratios = {f"vs_{peer}": seconds[peer] / seconds["flywheel"] if peer in seconds else None for peer in GOALS}
    return {**ratios, "texts_per_second": texts.height / seconds["flywheel"]}


def found(folder: Path, count: int) -> dict[str, Any]:
    """Against brute force, on real texts of which a fifth are edited copies."""
    texts = data.edited_texts(count)
    texts.write_parquet(folder / "quality.parquet")
    known = truth(texts["text"].to_list(), SETTINGS.short_threshold, SETTINGS.long_threshold)
    precision, recall = _pairs(texts, known)
    numbers = {name: number for number, name in enumerate(texts["id"])}
    ours = [numbers[name] for name in kept_ids(folder / "quality.parquet").duplicates["id"]]
    rows = [("flywheel", *quality(ours, known), len(ours))]
    for peer in GOALS:
        if (result := _peer(peer, folder / "quality.parquet", folder)) is not None:
            rows.append((peer, *quality(result["left_out"], known), len(result["left_out"])))
    show(
        f"Left out of {count:,} texts: {len(known.pairs):,} pairs are duplicates, {len(known.clear):,} clearly",
        ["", "that repeat another", "clear pairs found", "left out"],
        [(name, f"{right:.4f}", f"{caught:.4f}", gone) for name, right, caught, gone in rows],
    )
    show(
        "Pairs that flywheel joins",
        ["", "measured", "goal"],
        [("precision", f"{precision:.4f}", "1.0"), ("recall", f"{recall:.4f}", "0.97")],
    )
    return {
        "precision": precision,
        "recall": recall,
        "quality": {name: {"precision": right, "recall": caught} for name, right, caught, _ in rows},
    }


def growth(folder: Path, small: int, large: int, night: int) -> dict[str, Any]:
    """The step on a batch of 200 thousand and of 2 million texts, and then one night more on each lake."""
    first, again, peak = {}, {}, {}
    for size in (small, large):
        lake = Lake(str(folder / f"lake{size}"))
        data.collect(lake, "0001-first", data.made_texts(size, seed=1))
        result = _job("batch", lake.uri, "0001-first")
        first[size], peak[size] = result["seconds"], result["peak_gb"]
        data.collect(lake, "0002-warm", data.made_texts(night, seed=2))
        _job("batch", lake.uri, "0002-warm")
        nights = []
        for number in range(3, 3 + RUNS):
            data.collect(lake, f"{number:04d}-night", data.made_texts(night, seed=number))
            nights.append(_job("batch", lake.uri, f"{number:04d}-night")["seconds"])
        again[size] = min(nights)
        shutil.rmtree(lake.uri)
    ratio, incremental = first[large] / first[small], again[large] / again[small]
    show(
        f"Growth, and a night of {night:,} on top",
        ["texts", "seconds", "peak GB", "a night's seconds"],
        [(f"{size:,}", f"{first[size]:.1f}", f"{peak[size]:.2f}", f"{again[size]:.2f}") for size in (small, large)]
        + [("ratio (goal)", f"{ratio:.1f} (11)", f"{peak[large]:.2f} (3)", f"{incremental:.2f} (1.5)")],
    )
    return {"growth_time_ratio": ratio, "growth_peak_gb": peak[large], "incremental_ratio": incremental}


def kills(folder: Path, count: int, times: int) -> dict[str, Any]:
    """A batch killed at random moments and run again, against one left alone."""
    whole = Lake(str(folder / "whole"))
    for number in (1, 2):
        data.collect(whole, f"{number:04d}-batch", data.made_texts(count, seed=number))
    _job("batch", whole.uri, "0001-batch")
    start = folder / "start"
    shutil.copytree(whole.uri, start)
    shutil.copy(whole.uri + ".secret", f"{start}.secret")
    seconds = _job("batch", whole.uri, "0002-batch")["seconds"]
    expected, same = _rows(whole), 0
    moments = random.Random(7)
    for number in range(times):
        with _copy(start, folder / f"killed{number}") as lake:
            _killed(lake, moments.uniform(0, seconds))
            _job("batch", lake.uri, "0002-batch")
            same += _rows(lake).equals(expected)
    show(
        f"kill -9 at {times} moments of a batch of {count:,}", ["", "same rows"], [("afterwards", f"{same} of {times}")]
    )
    return {"kills": times, "kills_same": same}


def _pairs(texts: pl.DataFrame, known: Truth) -> tuple[float, float]:
    """Of the pairs that were verified, the share that brute force confirms; of the clear ones, the share joined."""
    batch = sign_texts(texts)
    made = entries(batch.keys, batch.key_offsets, batch.distinct)
    edges = pairs_within(made, batch.distinct, batch.rows, SETTINGS)
    confirmed = {tuple(sorted(pair)) for pair in known.pairs.tolist()}
    joined = [tuple(sorted(pair)) for pair in zip(edges.left.tolist(), edges.right.tolist(), strict=True)]
    component = components(batch, made, SETTINGS)
    together = component[known.clear[:, 0]] == component[known.clear[:, 1]]
    return sum(pair in confirmed for pair in joined) / max(len(joined), 1), float(together.mean())


def _job(*arguments: str) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.bench._dedupe_job", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    result: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def _killed(lake: Lake, after: float) -> None:
    command = [sys.executable, "-m", "tests.bench._dedupe_job", "batch", lake.uri, "0002-batch"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as child:
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(after)
        child.send_signal(signal.SIGKILL)


@contextmanager
def _copy(lake: Path, target: Path) -> Iterator[Lake]:
    shutil.copytree(lake, target)
    shutil.copy(f"{lake}.secret", f"{target}.secret")
    yield Lake(str(target))
    shutil.rmtree(target)


def _rows(lake: Lake) -> pl.DataFrame:
    tables = [
        lake.read(name).select(name=pl.lit(name), row=pl.struct(pl.all()).hash()).collect()
        for name in ("signatures", "duplicates", "books")
    ]
    return pl.concat(tables).sort("name", "row")


def _peer(name: str, path: Path, folder: Path) -> dict[str, Any] | None:
    python = Path(os.environ.get("FLYWHEEL_BENCH_PYTHON", ROOT / ".venv-bench" / "bin" / "python"))
    if not python.exists():
        return None
    out = folder / f"{name}.json"
    command = [str(python), str(Path(__file__).with_name("_dedupe_peers.py")), name, str(path), str(out)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{name} failed:\n{done.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(out.read_text())
    return result


def _goal(name: str) -> str:
    return f">= {GOALS[name]}x" if name in GOALS else ""
