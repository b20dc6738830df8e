"""Looks for a text in every byte: also inside of Parquet files, whose pages are compressed."""

import json
from collections.abc import Iterator
from pathlib import Path

import polars as pl


def places_with(marker: str, *folders: Path) -> set[str]:
    """The files below some folders that hold the marker, by their path in there, the names of tables' files cut off."""
    return {
        place
        for folder in folders
        for file in folder.rglob("*")
        if file.is_file() and marker in _content(file)
        for place in [_place(file.relative_to(folder))]
    }


def _content(file: Path) -> str:
    return "\n".join(_texts(file))


def _texts(file: Path) -> Iterator[str]:
    data = file.read_bytes()
    yield data.decode("utf-8", "replace")
    if data[:4] == b"PAR1":
        frame = pl.read_parquet(file, hive_partitioning=False)
        yield json.dumps(frame.to_dicts(), default=str, ensure_ascii=False)


def _place(path: Path) -> str:
    return "/".join(path.parts[:2]) if path.parts[0] in {"tables", "models"} else str(path)
