"""Scrubbing's speed against stock Presidio's, and its memory."""

import os
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from configs.settings import ScrubSettings
from storage.lake import Lake
from storage.publish import publish
from tasks.scrub.conversations import scrub_rows
from tasks.scrub.memory import Findings
from tasks.scrub.paragraphs import paragraphs
from tasks.scrub.workers import Workers
from tests.bench._scrub_data import SEED, read
from tests.bench._scrub_stock import MODEL, Stock
from tests.bench._table import show


def speed(workers: Workers, stock: Stock, count: int) -> dict[str, float]:
    """Prompts a second of the whole step but for reading and writing, and of stock Presidio's analysis alone."""
    prompts = [row["prompt"] for row in read("prompts_t0.jsonl.gz", 2 * count)]
    first, fresh = prompts[:count], prompts[count:]
    second = _half_seen(first, fresh)
    settings = ScrubSettings()
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(f"{folder}/lake")
        nights, spent = [], []
        for night, texts in enumerate((first, second)):
            findings = Findings(lake, settings, b"secret")
            start, before = time.perf_counter(), _spent(workers)
            scrub_rows(_rows(texts), settings, b"secret", {}, lambda units, f=findings: f.look(units, workers.look))  # type: ignore[misc]
            nights.append(count / (time.perf_counter() - start))
            spent.append(_spent(workers) - before)
            publish(lake, "findings", findings.rows(), step="scrub", batch=str(night), key=f"{night:032x}")
    _, seconds = stock.analyze(first)
    stock_spent = stock.cpu_seconds
    some = second[: max(1, count // 4)]
    _, seconds_second = stock.analyze(some)
    stock_spent_second = stock.cpu_seconds * count / len(some)
    stock_first, stock_second = count / seconds, len(some) / seconds_second
    figures = {
        "docs_per_second": nights[0],
        "stock_docs_per_second": stock_first,
        "vs_presidio": nights[0] / stock_first,
        "vs_presidio_second_night": nights[1] / stock_second,
        "vs_presidio_cpu": stock_spent / spent[0],
        "vs_presidio_cpu_second_night": stock_spent_second / spent[1],
    }
    show(
        f"Speed on {count:,} prompts, cold",
        ["", "ours /s", "Presidio /s", "times", "times, by processor time"],
        [
            [
                "first night",
                f"{nights[0]:.0f}",
                f"{stock_first:.0f}",
                f"{figures['vs_presidio']:.1f}",
                f"{figures['vs_presidio_cpu']:.1f}",
            ],
            [
                "second night, half its paragraphs seen",
                f"{nights[1]:.0f}",
                f"{stock_second:.0f}",
                f"{figures['vs_presidio_second_night']:.1f}",
                f"{figures['vs_presidio_cpu_second_night']:.1f}",
            ],
        ],
    )
    return figures


def memory(count: int, processes: int) -> dict[str, float]:
    """Memory of the processes after a fifth of `count` different texts, and after all of them."""
    rng = random.Random(SEED)
    words = [word for row in read("prompts_t0.jsonl.gz", 300) for word in row["prompt"].split()]
    texts = [f"{n} {' '.join(rng.choices(words, k=15))} {rng.randbytes(4).hex()}" for n in range(count)]
    with Workers(ScrubSettings(), processes) as workers:
        workers.start()
        sizes = []
        for part in range(10):
            workers.look([(MODEL, text) for text in texts[part * count // 10 : (part + 1) * count // 10]])
            sizes.append(sum(map(_resident, workers.start())))
    ratio = sizes[-1] / sizes[1]
    row = [f"{count:,} texts", f"{sizes[1] / 1e6:.0f}", f"{sizes[-1] / 1e6:.0f}", f"{ratio:.2f}"]
    show(f"Memory of {processes} processes, MB", ["", "after a fifth", "at the end", "ratio"], [row])
    return {"memory_growth_ratio": ratio}


def _half_seen(first: Sequence[str], fresh: Sequence[str]) -> list[str]:
    """Texts of which every other paragraph was in `first`, in the order of a seeded shuffle."""
    seen = [part for text in first for _, part in paragraphs(text)]
    random.Random(SEED).shuffle(seen)
    made: list[str] = []
    at = 0
    for text in fresh:
        mixed = []
        for n, (_, part) in enumerate(paragraphs(text)):
            mixed.append(seen[at % len(seen)] if n % 2 else part)
            at += n % 2
        if len(mixed) == 1 and len(made) % 2:
            mixed, at = [seen[at % len(seen)]], at + 1
        made.append("\n\n".join(mixed))
    return made


def _rows(texts: Sequence[str]) -> list[dict[str, Any]]:
    absent = {"name": None, "tool_calls": None, "tool_call_id": None}
    return [
        {
            "id": str(n),
            "origin": "user",
            "conversation_id": None,
            "language": "en",
            "messages": [{"role": "user", "content": text, **absent}],
            "tools": None,
        }
        for n, text in enumerate(texts)
    ]


def _spent(workers: Workers) -> float:
    """Processor seconds of this process and the workers so far: unlike the clock's, others do not add to them."""
    fields = [Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split() for process in workers.start()]
    ticks = sum(int(each[11]) + int(each[12]) for each in fields)
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


def _resident(process: int) -> int:
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
