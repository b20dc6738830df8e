"""From bytes to records: JSONL, JSON, CSV, Excel, Parquet and plain text; plain, gzip or zstd."""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import IO, Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.records.files import File
from tasks.records.record import BadRecord

BLOCK = 4 * 1024 * 1024
PACKED_BLOCK = 256 * 1024
"""Read at once from a compressed file: when it breaks off, what came before is kept but for the last block."""
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd", ".zstd": "zstd"}
KINDS = {
    ".jsonl": "lines",
    ".ndjson": "lines",
    ".log": "lines",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".xlsx": "excel",
    ".xlsm": "excel",
    ".xls": "excel",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".md": "document",
    ".markdown": "document",
    ".rst": "document",
    ".txt": "text",
}
ROWS = 1_000
LONG_LINE = 1_000
"""Characters: a .txt file whose lines are longer on average holds one document a line, as corpora do."""

csv.field_size_limit(2**31 - 1)


@dataclass(frozen=True)
class Found:
    """A record at its place.

    Args:
        position: its number in the file, from 1: lines of JSONL and CSV, else records.
        value: the record, or why it cannot be read.
        raw: as it came.
    """

    position: int
    value: Any
    raw: bytes


@dataclass(frozen=True)
class Container:
    """How a file holds records."""

    kind: str
    compression: str | None

    @property
    def grows(self) -> bool:
        """Whether more records may be appended; other files are read as a whole."""
        return self.kind == "lines" and self.compression is None


def container(file: File) -> Container | None:
    """How a file holds its records, by its name, else by its first byte; None: no way that is known."""
    suffixes = PurePosixPath(re.sub(r"([.-]\d+)+(?=\.[a-z]|$)", "", file.uri)).suffixes or [""]
    compression = COMPRESSIONS.get(suffixes[-1])
    kind = KINDS.get(suffixes[-2] if compression and len(suffixes) > 1 else suffixes[-1])
    if kind is None:
        with opened(file, compression) as stream:
            start = stream.read(256).lstrip()
        kind = {b"{": "lines", b"[": "json", b"P": "parquet" if start.startswith(b"PAR1") else None}.get(start[:1])
    return Container(kind, compression) if kind else None


def opened(file: File, compression: str | None) -> IO[bytes]:
    """The file's bytes, unpacked."""
    plain = file.system.open(file.uri, "rb")
    stream: IO[bytes] = pa.CompressedInputStream(plain, compression) if compression else plain
    return stream


def whole_lines(file: File, start: int, limit: int) -> int:
    """The end of the last whole line after `start`, at most about `limit` bytes on; `start` when there is none.

    A last line without a line break counts once it is whole JSON: until then somebody may be writing it.
    """
    end = min(file.size, start + limit)
    kept = b""
    for upper in range(end, start, -BLOCK):
        block = file.read(max(start, upper - BLOCK), upper)
        if (at := block.rfind(b"\n")) >= 0:
            rest = block[at + 1 :] + kept
            whole = end - len(rest)
            return end if end == file.size and _is_json(rest) else whole
        kept = block + kept
    if end < file.size:  # one line is longer than the limit: take it whole
        return whole_lines(file, start, 2 * limit)
    return end if _is_json(kept) else start


def _is_json(data: bytes) -> bool:
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return False
    return True


def records(file: File, how: Container, start: int, end: int) -> Iterator[Found]:
    """The records between two bytes of a file; for files that do not grow, all of them.

    A file that breaks off or is no such container gives what could be read, then one bad record.
    """
    position = 0
    try:
        with opened(file, how.compression) as stream:
            if how.grows:
                stream.seek(start)
                read = _lines(stream, end - start)
            else:
                read = _READERS[how.kind](stream)
            for found in read:
                position = found.position
                yield found
    except (pa.ArrowException, OSError, EOFError, csv.Error, UnicodeDecodeError) as error:
        if isinstance(error, FileNotFoundError | PermissionError | ConnectionError | TimeoutError):
            raise
        reason = f"the {how.compression or how.kind} file cannot be read on: {' '.join(str(error).split())[:200]}"
        yield Found(position + 1, BadRecord(reason), b"")


def _lines(stream: IO[bytes], size: int | None = None) -> Iterator[Found]:
    for position, line in enumerate(split_lines(stream, size), 1):
        if line and not line.isspace():
            yield Found(position, _loads(line), line)


def split_lines(stream: IO[bytes], size: int | None) -> Iterator[bytes]:
    """The lines of the next `size` bytes (None: of all), without their breaks, block by block."""
    begun: list[bytes] = []
    while size is None or size > 0:
        block = stream.read(PACKED_BLOCK if size is None else min(BLOCK, size))
        if not block:
            break
        size = None if size is None else size - len(block)
        first, *others = block.split(b"\n")
        begun.append(first)
        if others:
            yield b"".join(begun)
            yield from others[:-1]
            begun = [others[-1]]
    if last := b"".join(begun):
        yield last


def _loads(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        return BadRecord(f"not JSON: {error.msg}")


def _json(stream: IO[bytes]) -> Iterator[Found]:
    data = stream.read()
    value = _loads(data)
    if isinstance(value, BadRecord):  # JSONL under another name
        yield from _lines(io.BytesIO(data))
        return
    if isinstance(value, dict) and isinstance(value.get("data"), list):  # a page of an API
        value = value["data"]
    for position, record in enumerate(value if isinstance(value, list) else [value], 1):
        yield Found(position, record, b"")


def _csv(stream: IO[bytes], dialect: str = "excel") -> Iterator[Found]:
    rows = csv.DictReader(io.TextIOWrapper(stream, "utf-8-sig", newline=""), dialect=dialect, strict=True)
    for row in rows:
        wrong = None in row or None in row.values()
        value = BadRecord("the row has another number of fields than the header") if wrong else row
        yield Found(rows.line_num, value, orjson.dumps(list(row.values())) if wrong else b"")


def _excel(stream: IO[bytes]) -> Iterator[Found]:
    """The rows of every sheet; the first row of a sheet names its columns, an empty cell was not there."""
    import fastexcel
    import polars as pl

    try:
        sheets = pl.read_excel(stream.read(), sheet_id=0, infer_schema_length=None, raise_if_empty=False)
    except fastexcel.FastExcelError as error:
        raise OSError(str(error)) from error
    rows = (row for sheet in sheets.values() for row in sheet.iter_rows(named=True))
    for position, row in enumerate(rows, 1):
        if record := _without_nulls(row):
            yield Found(position, record, b"")


def _parquet(stream: IO[bytes]) -> Iterator[Found]:
    source = stream if stream.seekable() else pa.BufferReader(stream.read())
    yield from _rows(pq.ParquetFile(source).iter_batches(batch_size=ROWS))


def _arrow(stream: IO[bytes]) -> Iterator[Found]:
    """The shards of a data set that Hugging Face's `save_to_disk` wrote."""
    for_reading = pa.ipc.open_stream(stream)
    yield from _rows(part for batch in for_reading for part in _sliced(batch))


def _sliced(batch: Any) -> Iterator[Any]:
    return (batch.slice(start, ROWS) for start in range(0, batch.num_rows, ROWS))


def _rows(batches: Iterable[Any]) -> Iterator[Found]:
    position = 0
    for batch in batches:
        for record in batch.to_pylist():
            position += 1
            yield Found(position, _without_nulls(record), b"")


def _without_nulls(value: Any) -> Any:
    """Parquet's structs have every key: what is null was not there."""
    if isinstance(value, dict):
        return {key: _without_nulls(part) for key, part in value.items() if part is not None}
    return [_without_nulls(part) for part in value] if isinstance(value, list) else value


def _document(stream: IO[bytes]) -> Iterator[Found]:
    data = stream.read()
    yield Found(1, {"text": data.decode("utf-8")}, data)


def _text(stream: IO[bytes]) -> Iterator[Found]:
    data = stream.read()
    lines = [line for line in data.split(b"\n") if line.strip()]
    corpus = len(lines) > 1 and len(data) / len(lines) > LONG_LINE
    for position, document in enumerate(lines if corpus else [data], 1):
        yield Found(position, {"text": document.decode("utf-8")}, document)


_READERS: dict[str, Callable[[IO[bytes]], Iterator[Found]]] = {
    "lines": _lines,
    "json": _json,
    "csv": _csv,
    "tsv": partial(_csv, dialect="excel-tab"),
    "excel": _excel,
    "parquet": _parquet,
    "arrow": _arrow,
    "text": _text,
    "document": _document,
}
