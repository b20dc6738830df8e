"""The body of a request: as long as is allowed, unpacked, and as JSON values."""

import asyncio
import gzip
import io
import zlib
from typing import Any

import orjson
from fastapi import Request
from starlette.requests import ClientDisconnect

from tasks.records.record import BadRecord

JSON = "application/json"
LINES = "application/x-ndjson"
SECONDS = 30.0
"""How long a sender may take for a body."""


class Refused(Exception):  # noqa: N818 - a request is refused, the program is not at fault
    """A request that is answered with an error.

    Args:
        status: of HTTP.
        reason: one sentence for whoever sent it.
        again: seconds after which it is worth sending it again.
    """

    def __init__(self, status: int, reason: str, *, again: int | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.again = again


def media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_body(request: Request, limit: int) -> bytes:
    """The unpacked body.

    Args:
        request: with its body unread, plain or gzip.
        limit: bytes that it may have, packed and unpacked.

    Raises:
        Refused: it is too long (413), too slow (408), packed in another way (415) or broken (400).
    """
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise Refused(415, f"Content-Encoding {encoding[:40]!r} is not known: send gzip, or nothing packed.")
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > limit:
        raise _too_long(limit)
    try:
        async with asyncio.timeout(SECONDS):
            data = await _received(request, limit)
    except ClientDisconnect as error:
        raise Refused(400, "The body broke off.") from error
    except TimeoutError as error:
        raise Refused(408, f"The body did not arrive within {SECONDS:.0f} s.") from error
    return _unpacked(data, limit) if encoding == "gzip" else data


async def _received(request: Request, limit: int) -> bytes:
    blocks: list[bytes] = []
    size = 0
    async for block in request.stream():
        size += len(block)
        if size > limit:  # before it is whole: a sender may not fill our memory
            raise _too_long(limit)
        blocks.append(block)
    return b"".join(blocks)


def _unpacked(data: bytes, limit: int) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
            plain = packed.read(limit + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise Refused(400, "The body is no whole gzip, as its Content-Encoding says.") from error
    if len(plain) > limit:
        raise _too_long(limit)
    return plain


def _too_long(limit: int) -> Refused:
    return Refused(413, f"The body is longer than {limit:,} bytes: send fewer records in a request.")


def json_records(data: bytes, media: str) -> list[Any]:
    """The records of a body: one object, a list of objects, or an object a line.

    Returns:
        A value for each record; a BadRecord for a line that is not JSON.

    Raises:
        Refused: it is not JSON (400), or says that it is something else (415).
    """
    if media == LINES:
        return [_line(line) for line in data.split(b"\n") if line and not line.isspace()]
    if media != JSON:
        raise Refused(415, f"Content-Type is {media[:60]!r}: send {JSON}, or {LINES} for a record a line.")
    value = json_value(data)
    return value if isinstance(value, list) else [value]


def json_value(data: bytes) -> Any:
    """A JSON body; Refused with 400 when it is none."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise Refused(400, f"The body is not JSON: {error}.") from error


def _line(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        return BadRecord(f"not JSON: {error.msg}")
