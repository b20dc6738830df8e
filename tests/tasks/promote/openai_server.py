"""An OpenAI-compatible server of one model, in this process or as a program; it answers what the model's folder says.

As a program: `openai_server.py FOLDER NAME --host=... --port=...`; like vLLM it wants VLLM_API_KEY as a bearer token.
FOLDER/answer.txt is the answer; with FOLDER/broken it ends at once, with FOLDER/slow an answer takes that many seconds.
What lies in FOLDER under the name of a call, such as tokenize, is all that it replies to that; FOLDER/likeliest are the
tokens that it would choose in a text, from the second one on.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    folder: Path
    name: str
    key: str = ""

    def do_GET(self) -> None:
        self._reply({"object": "list", "data": [{"id": self.name}]} if self.path == "/v1/models" else {})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.key and self.headers["authorization"] != f"Bearer {self.key}":
            self.send_error(401)
            return
        if (self.folder / "slow").exists():
            time.sleep(float((self.folder / "slow").read_text()))
        if self.path == "/v1/completions" and (self.folder / "likeliest").exists():
            chosen = json.loads((self.folder / "likeliest").read_text())
            told = [None, *({"999999": {"rank": 7}, str(token): {"rank": 1}} for token in chosen)]
            self._reply({"choices": [{"prompt_logprobs": told}]})
            return
        own = self.folder / self.path.rpartition("/")[2]
        if own.is_file():
            self._reply(json.loads(own.read_text()))
            return
        text = (self.folder / "answer.txt").read_text()
        if asked.get("stream"):
            self._stream(text)
        else:
            message = {"role": "assistant", "content": text}
            self._reply({"model": self.name, "choices": [{"message": message, "finish_reason": "stop"}]})

    def _stream(self, text: str) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        for word in text.split():
            self.wfile.write(f"data: {json.dumps({'delta': word})}\n\n".encode())
            time.sleep(0.02)

    def _reply(self, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def server(folder: Path, name: str, port: int = 0, key: str = "") -> ThreadingHTTPServer:
    handler = type("OfOneModel", (Handler,), {"folder": folder, "name": name, "key": key})
    return ThreadingHTTPServer(("127.0.0.1", port), handler)


@contextmanager
def served(folder: Path, name: str) -> Iterator[str]:
    """Its address, ending in /v1, in this process."""
    running = server(folder, name)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{running.server_port}/v1"
    finally:
        running.shutdown()
        running.server_close()


if __name__ == "__main__":
    if Path(sys.argv[1], "broken").exists():
        sys.exit("ValueError: this model cannot be loaded")
    number = int(next(one for one in sys.argv if one.startswith("--port=")).removeprefix("--port="))
    server(Path(sys.argv[1]), sys.argv[2], number, os.environ["VLLM_API_KEY"]).serve_forever()
