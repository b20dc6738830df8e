"""A sender for the collector's benchmark, in a process of its own: requests a second and how long each took.

`python -m tests.bench._collect_load PORT CONNECTIONS REQUESTS BATCH`: keep-alive connections, each of which sends its
next request once the last one is answered. Plain sockets, because an HTTP client library would cost more than what is
measured.
"""

import asyncio
import json
import sys
import time
from functools import partial
from typing import cast

import uvloop

from tests.tasks.collect.samples import SAMPLES

RECORD = json.dumps(SAMPLES["openai_log"][0])


class Sender(asyncio.Protocol):
    """One connection."""

    def __init__(self, numbers: list[int], batch: int, seconds: list[float], done: asyncio.Future[None]) -> None:
        self.numbers, self.batch, self.seconds, self.done = numbers, batch, seconds, done

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        self.answer += data
        if not data.endswith(b"]}"):  # head and body come apart
            return
        assert self.answer.startswith(b"HTTP/1.1 202"), self.answer
        self.seconds.append(time.perf_counter() - self.sent)
        if self.numbers:
            self._send()
        else:
            self.transport.close()
            self.done.set_result(None)

    def _send(self) -> None:
        number = self.numbers.pop()
        records = [RECORD.replace("chatcmpl-1", f"chatcmpl-{number}-{at}") for at in range(self.batch)]
        body = f"[{','.join(records)}]" if self.batch > 1 else records[0]
        self.answer = b""
        self.sent = time.perf_counter()
        self.transport.write(
            b"POST /v1/interactions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            + f"content-length: {len(body)}\r\n\r\n{body}".encode()
        )


async def load(port: int, connections: int, requests: int, batch: int) -> dict[str, float]:
    """Send, and say how fast: requests_per_s, records_per_s, and p50_ms, p99_ms from sending to the answer."""
    loop = asyncio.get_running_loop()
    seconds: list[float] = []
    ends = []
    start = time.perf_counter()
    for connection in range(connections):
        done = loop.create_future()
        numbers = list(range(connection, requests, connections))
        await loop.create_connection(partial(Sender, numbers, batch, seconds, done), "127.0.0.1", port)
        ends.append(done)
    await asyncio.gather(*ends)
    took = time.perf_counter() - start
    seconds.sort()
    return {
        "requests_per_s": round(len(seconds) / took),
        "records_per_s": round(len(seconds) * batch / took),
        "p50_ms": round(1000 * seconds[len(seconds) // 2], 1),
        "p99_ms": round(1000 * seconds[len(seconds) * 99 // 100], 1),
    }


if __name__ == "__main__":
    print(json.dumps(uvloop.run(load(*map(int, sys.argv[1:])))))
