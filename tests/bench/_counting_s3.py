"""moto's S3 server that counts the bytes it serves: `python -m tests.bench._counting_s3 -H HOST -p PORT`."""

import argparse
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple

SERVED = "/served"
"""Asked for here: how many bytes of objects and lists were served, by how many requests, since it was asked last."""


class Counting:
    """A WSGI application that counts what another one answers to GET."""

    def __init__(self, application: Any) -> None:
        self._application = application
        self._bytes = self._requests = 0

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] == SERVED:
            told = json.dumps({"bytes": self._bytes, "requests": self._requests}).encode()
            self._bytes = self._requests = 0
            start_response("200 OK", [("Content-Type", "application/json")])
            return [told]
        answer = self._application(environ, start_response)
        return self._counted(answer) if environ["REQUEST_METHOD"] == "GET" else answer

    def _counted(self, answer: Iterable[bytes]) -> Iterator[bytes]:
        self._requests += 1
        for part in answer:
            self._bytes += len(part)
            yield part


def serve(wrap: Callable[[Any], Any]) -> None:
    """Serve moto's S3, wrapped, where the command line says: `-H HOST -p PORT`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-H", dest="host", required=True)
    parser.add_argument("-p", dest="port", type=int, required=True)
    options = parser.parse_args()
    backend = DomainDispatcherApplication(create_backend_app)
    run_simple(options.host, options.port, wrap(backend), threaded=True)


if __name__ == "__main__":
    serve(Counting)
