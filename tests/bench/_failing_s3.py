"""moto's S3 server that can be told to fail: `python -m tests.bench._failing_s3 -H HOST -p PORT`."""

import time
from collections.abc import Iterable
from typing import Any

from tests.bench._counting_s3 import serve

FAIL = "/fail"
"""Asked for here with seconds as the query: it answers 503 for so long; says how many requests it did so since then."""
BUSY = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"


class Failing:
    """A WSGI application that answers 503 in place of another one while it was told to."""

    def __init__(self, application: Any) -> None:
        self._application = application
        self._until, self._failed = 0.0, 0

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] == FAIL:
            told, self._failed = str(self._failed).encode(), 0
            self._until = time.monotonic() + float(environ["QUERY_STRING"])
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [told]
        if time.monotonic() < self._until:
            self._failed += 1
            start_response("503 Slow Down", [("Content-Type", "application/xml")])
            return [BUSY]
        answer: Iterable[bytes] = self._application(environ, start_response)
        return answer


if __name__ == "__main__":
    serve(Failing)
