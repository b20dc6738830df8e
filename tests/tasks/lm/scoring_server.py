"""A real HTTP server that answers as vLLM does: log-probabilities of prompts, embeddings, what a classifier says."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

import torch

from tasks.lm.load import LanguageModel
from tests.crowd_server import CrowdServer


@dataclass
class Scoring:
    """What the server does, and what it saw.

    Args:
        lm: whose losses it gives.
        failures: so many requests fail first.
        key: that it wants.
        prompt_logprobs: whether it gives any.
        judge: from tokens to the probabilities of a classifier.
    """

    lm: LanguageModel
    failures: int = 0
    key: str | None = None
    prompt_logprobs: bool = True
    judge: Callable[[list[int]], list[float]] | None = None
    paths: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


@contextmanager
def serving(scoring: Scoring) -> Iterator[str]:
    """The server's address, ending in /v1, while the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._reply(200, {"data": [{"id": "tiny"}]})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with scoring.lock:
                scoring.paths.append(self.path)
                fails, scoring.failures = scoring.failures > 0, scoring.failures - 1
            if scoring.key and self.headers.get("Authorization") != f"Bearer {scoring.key}":
                self._reply(401, {})
            elif fails:
                self._reply(503, {})
            elif self.path == "/v1/completions" and body["model"] == "tiny":
                self._reply(200, {"choices": self._choices(body)[::-1]})
            elif self.path == "/v1/embeddings":
                self._reply(200, {"data": [{"embedding": [float(len(text)), 1.0]} for text in body["input"]]})
            elif self.path == "/classify" and scoring.judge is not None:
                self._reply(200, {"data": [{"probs": scoring.judge(ids)} for ids in body["input"]]})
            else:
                self._reply(404, {})

        def _choices(self, body: dict[str, Any]) -> list[dict[str, Any]]:
            return [
                {"index": at, "prompt_logprobs": _logprobs(scoring.lm, prompt) if scoring.prompt_logprobs else None}
                for at, prompt in enumerate(body["prompt"])
            ]

        def _reply(self, status: int, body: dict[str, Any]) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    server = CrowdServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _logprobs(lm: LanguageModel, prompt: list[int]) -> list[dict[str, Any] | None]:
    with torch.inference_mode():
        logs = torch.log_softmax(lm.model(torch.tensor([prompt])).logits[0].double(), -1)
    figures = [{str(token): {"logprob": float(logs[at, token]), "rank": 1}} for at, token in enumerate(prompt[1:])]
    return [None, *figures]
