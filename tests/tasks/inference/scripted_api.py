"""An OpenAI-compatible server on a free port that answers as its script says, and counts what it was asked."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.crowd_server import CrowdServer

Reply = str | tuple[int, bytes] | None
"""A text to answer with; or a status and a raw body; or None, to hang up without a word."""
Script = Callable[[dict[str, Any], int], Reply]
"""From a request's body, and how often this very body came before, to the reply."""


@dataclass
class Api:
    """What a test sees of the server."""

    url: str
    asked: list[dict[str, Any]] = field(default_factory=list)
    most_at_once: int = 0


@contextmanager
def scripted_api(script: Script, *, key: str | None = None, model: str = "scripted") -> Iterator[Api]:
    """Run the server for the length of the block; `key` is the API key that it wants."""
    lock = threading.Lock()
    api = Api("")
    running = 0

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            if not self._allowed():
                return
            self._send(200, json.dumps({"data": [{"id": model}]}).encode())

        def do_POST(self) -> None:
            nonlocal running
            sent = self.rfile.read(int(self.headers["Content-Length"]))
            if not sent or not self._allowed():  # nothing: whoever asked was killed
                return
            body = json.loads(sent)
            with lock:
                before = api.asked.count(body)
                api.asked.append(body)
                running += 1
                api.most_at_once = max(api.most_at_once, running)
            try:
                reply = script(body, before)
            finally:
                with lock:
                    running -= 1
            if reply is None:
                self.close_connection = True
            elif isinstance(reply, str):
                self._send(200, json.dumps(_completion(body, reply)).encode())
            else:
                self._send(*reply)

        def _allowed(self) -> bool:
            if key is None or self.headers.get("Authorization") == f"Bearer {key}":
                return True
            self._send(401, b"wrong key")
            return False

        def _send(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            if status == 429:
                self.send_header("Retry-After", "0.01")
            self.end_headers()
            self.wfile.write(body)

    server = CrowdServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    api.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()


def _completion(body: dict[str, Any], text: str) -> dict[str, Any]:
    choice = {"text": text} if "prompt" in body else {"message": {"role": "assistant", "content": text}}
    return {"choices": [{**choice, "finish_reason": "stop"}], "usage": {"completion_tokens": len(text.split())}}
