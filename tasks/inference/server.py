"""A vLLM server of our own: started in its own environment, used, and ended with all its children."""

import contextlib
import contextvars
import logging
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tasks.inference import supervise
from tasks.inference.engine import EngineError

log = logging.getLogger(__name__)
GRACE = 10.0  # seconds that a server has to end by itself
PATIENCE = 20.0  # further ones for its supervisor, who is sure to end, but slow on a busy machine
QUOTED = 15  # lines of its log that an error quotes
_ERROR = re.compile(r"\b\w*(?:Error|Exception): ")


@dataclass(frozen=True)
class Server:
    """A server that is running.

    Args:
        process: its supervisor (`tasks.inference.supervise`).
        url: its address, ending in /v1.
        key: the API key that it wants.
        tail: the newest lines of its log.
        errors: the first lines that look like errors: what comes after is often only the wreckage.
    """

    process: "subprocess.Popen[str]"
    url: str
    key: str
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=QUOTED))
    errors: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Raises EngineError when the server has ended."""
        if (status := self.process.poll()) is not None:
            raise EngineError(f"The vLLM server ended (status {status}). {self.quote()}")

    def quote(self) -> str:
        """What its log says about why it failed."""
        if self.errors:
            return "Its first errors:\n" + "\n".join(self.errors)
        return "Its last lines:\n" + "\n".join(self.tail)


def vllm_command(python: str, folder: Path, name: str, *, max_model_len: int, arguments: Sequence[str]) -> list[str]:
    """The command of a vLLM server, all but host and port; on machines without a GPU with what vLLM needs there."""
    import torch

    # without the last one, vLLM 0.32 dies on a CPU of any seeded request whose prompt it takes in parts
    on_cpu = ["--dtype=bfloat16", "--enforce-eager", "--no-enable-chunked-prefill"]
    return [
        *(python, "-P", "-m", "vllm.entrypoints.openai.api_server"),
        *(f"--model={folder}", f"--served-model-name={name}", f"--max-model-len={max_model_len}"),
        "--disable-uvicorn-access-log",
        *([] if torch.cuda.is_available() else on_cpu),
        *arguments,
    ]


@contextlib.contextmanager
def serve(command: Sequence[str], *, start_timeout: float) -> Iterator[Server]:
    """A server on a free port of this machine, healthy when the block begins and gone when it ends.

    Whatever ends the block, and even when this process is killed, `tasks.inference.supervise` ends the whole tree.

    Args:
        command: what starts it; `--host` and `--port` are added, and `VLLM_API_KEY` is set.
        start_timeout: seconds until it must be healthy.

    Raises:
        EngineError: it ended, or is not healthy in time.
    """
    port, key = _free_port(), secrets.token_urlsafe()
    watched = [sys.executable, "-I", supervise.__file__, str(GRACE), *command, "--host=127.0.0.1", f"--port={port}"]
    process = subprocess.Popen(
        watched,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=_environment(os.environ, key),
        start_new_session=True,
    )
    server = Server(process, f"http://127.0.0.1:{port}/v1", key)
    # Prefect finds the run that a line belongs to in the context, which a thread does not inherit
    reader = threading.Thread(target=contextvars.copy_context().run, args=(_forward_log, server), daemon=True)
    reader.start()
    try:
        _wait_healthy(server, f"http://127.0.0.1:{port}/health", start_timeout)
        yield server
    finally:
        _end(process)
        reader.join(timeout=GRACE)


def _environment(base: Mapping[str, str], key: str) -> dict[str, str]:
    quiet = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "PYTHONUNBUFFERED": "1"}
    cache = {"VLLM_CPU_KVCACHE_SPACE": "2"}  # GiB; read only on machines without a GPU
    return {**cache, **base, **quiet, "VLLM_API_KEY": key}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _forward_log(server: Server) -> None:
    for line in map(str.strip, server.process.stdout or ()):
        if not line:
            continue
        log.info("vllm: %s", line)
        server.tail.append(line)
        if len(server.errors) < QUOTED and _ERROR.search(line):
            server.errors.append(line)


def _wait_healthy(server: Server, url: str, timeout: float) -> None:
    start = time.monotonic()
    while time.monotonic() - start < timeout:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(url, timeout=5).status_code == 200:
                log.info("vllm: healthy after %.0f s", time.monotonic() - start)
                return
        server.check()
        time.sleep(0.25)
    raise EngineError(f"The vLLM server was not healthy after {timeout:.0f} s (start_timeout). {server.quote()}")


def _end(process: "subprocess.Popen[str]") -> None:
    """Let the supervisor end the tree; whatever is then left of its process group is killed."""
    if process.stdin:
        with contextlib.suppress(OSError):
            process.stdin.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=GRACE + PATIENCE)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
