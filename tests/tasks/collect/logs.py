"""Logs as a product writes them, and what collect makes of them."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from configs.settings import CollectSettings, Source
from storage.lake import Lake

START = datetime(2026, 5, 1, tzinfo=UTC)


def log(name: str, *turns: str, user: str = "u1", minutes: int = 0, answer: str | None = None, **extra: object) -> dict:
    """A line of a log: turns are user and assistant by turns, the last one the user's."""
    messages = [{"role": "assistant" if at % 2 else "user", "content": said} for at, said in enumerate(turns)]
    reply = {"role": "assistant", "content": answer or f"answer to {turns[-1]}"}
    return {
        "timestamp": (START + timedelta(minutes=minutes)).isoformat(),
        "client_id": user,
        "request": {"model": "m", "messages": messages},
        "response": {"id": name, "choices": [{"message": reply}]},
        **extra,
    }


def write(path: Path, *records: object, mode: str = "w") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open(mode) as out:
        out.writelines((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in records)
    return path


def settings(*paths: Path | str, **extra: object) -> CollectSettings:
    sources = [Source(name=f"s{at}", path=str(path), about="s0") for at, path in enumerate(paths)]
    return CollectSettings(sources=tuple(sources), **extra)


def rows(lake: Lake, table: str = "interactions") -> pl.DataFrame:
    return lake.read(table).collect()


def books(lake: Lake, batch: str) -> dict[str, int]:
    frame = lake.read("books", batch=batch, step="collect").filter(pl.col("kind") != "fact").collect()
    counts = {name: int(value) for name, value in frame.select("name", "value").iter_rows()}
    assert counts.pop("rows") == sum(counts.values())
    return {name: count for name, count in counts.items() if count}
