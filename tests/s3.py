"""A bucket on a real S3 API: moto's server on the loopback, as a process of its own."""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import httpx

from flows.laptop import free_port

BUCKET = "lakes"


@contextmanager
def s3_server(*command: str) -> Iterator[str]:
    """The address of a server with an empty bucket; it ends with the context.

    Args:
        command: how to start it, host and port left out; by default moto's own server.
    """
    port = free_port()
    start = [*(command or (sys.executable, "-m", "moto.server")), "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(start, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait(f"{address}/moto-api/")
        httpx.put(f"{address}/{BUCKET}").raise_for_status()
        yield address
    finally:
        server.terminate()
        server.wait(10)


def environment(address: str) -> Mapping[str, str]:
    """What programs must know to use it; the key is no secret: the server takes any."""
    return {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": address,
        "AWS_ALLOW_HTTP": "true",
    }


def _wait(url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            httpx.get(url, timeout=5)
        except httpx.HTTPError:
            time.sleep(0.2)
        else:
            return
    raise RuntimeError("the S3 server did not start")
