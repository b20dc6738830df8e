"""What a hundred million rows take: curation on this machine, at two sizes, and from the slope the whole.

Real prompts, each with an answer. Seconds and memory of a row are the difference of two sizes, so that what every run
costs once is left out. What a Ray cluster would send is counted by an engine that packs every item and result as Ray's
does, and works here. The rate of a model is SmolLM2's on this machine's processors; on a GPU nothing was measured.
"""

import multiprocessing
import pickle
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from configs.load import parse
from flows import curate
from storage.lake import Lake
from tasks.engine.spread import ENGINES
from tasks.lm.load import MissingModelError, resolve
from tests.bench._dedupe_data import real_texts
from tests.bench._directly import called_directly
from tests.bench._table import show
from tests.bench.wheel import Peak
from tests.tiny_model import make_tiny_model

WHOLE = 100_000_000
KEPT = ("signatures", "placeholders", "duplicates", "scrubbed", "splits", "curated", "interactions", "findings")
"""Tables that grow by the row."""


@dataclass(frozen=True)
class Measured:
    """What curating some rows took.

    Args:
        rows: how many.
        seconds: by step.
        stored: bytes by table, compressed.
        memory: gigabytes, at most.
        sent: bytes by step that a cluster's network would carry.
    """

    rows: int
    seconds: Mapping[str, float]
    stored: Mapping[str, int]
    memory: float
    sent: Mapping[str, int]


def run(*, quick: bool) -> dict[str, Any]:
    """Curate few and many rows; multiply.

    Figures: rows_per_s of each step, bytes_per_row of the lake, of memory and of the network, and for a hundred million
    rows hours (all steps without models, this machine), terabytes and shuffled_terabytes.
    """
    few, many, scored = (500, 2_000, 8) if quick else (5_000, 25_000, 96)
    small, large, packed = _apart(few), _apart(many), _apart(few, cluster=True)
    more = many - few
    slopes = {step: (large.seconds[step] - small.seconds[step]) / more for step in large.seconds}
    stored = {table: (large.stored[table] - small.stored[table]) / more for table in large.stored}
    sent = {step: size / few for step, size in packed.sent.items()}
    models = _apart(scored, model="smollm2").seconds["score"] / scored if _has_smollm2() else None
    seconds = sum(slopes.values())
    show(
        f"{WHOLE:,} rows, from the slope between {few:,} and {many:,}",
        ["step", "rows/s", "hours here", "TB a cluster sends"],
        [[step, f"{1 / each:,.0f}" if each > 0 else "", f"{each * WHOLE / 3600:,.1f}",
          f"{sent.get(step, 0) * WHOLE / 1e12:.2f}"] for step, each in slopes.items()],
    )  # fmt: skip
    show(
        f"{WHOLE:,} rows in the lake",
        ["table", "bytes a row", "GB"],
        [[table, f"{each:,.0f}", f"{each * WHOLE / 1e9:,.0f}"] for table, each in stored.items()],
    )
    return {
        "rows_per_s": {step: round(1 / each) for step, each in slopes.items() if each > 1e-7},
        "bytes_per_row": {
            "lake": round(sum(stored.values())),
            "memory": round((large.memory - small.memory) * 1e9 / more),
            "network": round(sum(sent.values())),
        },
        "hours": round(seconds * WHOLE / 3600, 1),
        "terabytes": round(sum(stored.values()) * WHOLE / 1e12, 2),
        "shuffled_terabytes": round(sum(sent.values()) * WHOLE / 1e12, 2),
        "smollm2_rows_per_s": models and round(1 / models, 2),
    }


def _has_smollm2() -> bool:
    try:
        return bool(resolve("smollm2"))
    except MissingModelError:
        return False


def _apart(rows: int, *, model: str | None = None, cluster: bool = False) -> Measured:
    """Measured in a process of its own, whose memory nobody else's work raised."""
    with multiprocessing.get_context("spawn").Pool(1) as process:
        return process.apply(_measure, (rows, model, cluster))


def _measure(rows: int, model: str | None, cluster: bool) -> Measured:
    with tempfile.TemporaryDirectory(prefix="flywheel-bench-") as place:
        folder = Path(place)
        (folder / "logs").mkdir()
        texts = real_texts(rows)
        texts.select(
            "id", user=texts["id"].str.slice(4), prompt="text", response=texts["text"].str.slice(0, 400).str.reverse()
        ).write_ndjson(folder / "logs" / "night.jsonl")
        asked = {
            "lake": f"{folder}/lake",
            "engine": "ray" if cluster else "local",
            "model_name_or_path": model or str(make_tiny_model(folder / "tiny")),
            "collect": {"sources": [{"name": "chats", "path": str(folder / "logs")}]},
            "score": {"perplexity": model is not None, "reward": False},
        }
        seconds: defaultdict[str, float] = defaultdict(float)
        sent: Counter[str] = Counter()
        packing = patch.dict(ENGINES, ray=partial(_packing, sent)) if cluster else nullcontext()
        with called_directly(seconds), packing, Peak() as peak:
            curate.curate(parse(asked, "the benchmark's settings"))
        stored = {table.name: table.size for table in Lake(f"{folder}/lake").status() if table.name in KEPT}
    return Measured(rows, dict(seconds), stored, peak.gigabytes, sent)


def _packing(
    sent: Counter[str], work: Callable[[Any], Any], items: Iterable[Any], threads: int, gpu: bool
) -> Iterator[Any]:
    """An engine of `tasks.engine.spread` that packs all that Ray would send, and counts it by step."""
    step = getattr(work, "func", work).__module__.split(".")[1]
    for item in items:
        packed = pickle.dumps(item, protocol=5)
        result = work(pickle.loads(packed))
        sent[step] += len(packed) + len(pickle.dumps(result, protocol=5))
        yield result
