"""A server with the shape of vLLM's: a parent, an engine that ignores SIGTERM, a worker below it, and one that fled.

Every process leaves its pid in FOLDER. The mode says what the parent does: serve, die (with status 3), or hang. Who
serves is healthy, and answers every conversation with a sentence, slowly.
"""

import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

SECONDS = 0.3
"""That an answer takes."""


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers["Content-Length"]))
        if not self.path.endswith("/chat/completions"):
            self.send_error(404)
            return
        time.sleep(SECONDS)
        message = {
            "role": "assistant",
            "content": f"Look at page {hashlib.sha256(asked).hexdigest()[:6]} of the manual.",
        }
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}).encode())


def command(folder: Path, mode: str = "serve") -> list[str]:
    return [sys.executable, "-I", __file__, str(folder), mode]


def note(folder: Path, name: str) -> None:
    (folder / name).write_text(str(os.getpid()))


def fork(work: Callable[[], None]) -> None:
    if not os.fork():
        work()
        time.sleep(600)


def engine(folder: Path) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note(folder, "engine")
    fork(lambda: note(folder, "worker"))


def fled(folder: Path) -> None:
    os.setsid()  # another session and process group, and its parent ends at once
    if os.fork():
        os._exit(0)
    note(folder, "fled")


def main(folder: Path, mode: str, port: int) -> None:
    folder.mkdir(exist_ok=True)
    note(folder, "server")
    fork(lambda: engine(folder))
    fork(lambda: fled(folder))
    print("loading weights", flush=True)
    while len(list(folder.iterdir())) < 4:
        time.sleep(0.01)
    if mode == "die":
        sys.exit(3)
    if mode == "hang":
        time.sleep(600)
    HTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[-1].removeprefix("--port=")))
