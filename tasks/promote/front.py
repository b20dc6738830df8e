"""The champion's address: an OpenAI-compatible API that passes requests on to whichever server has the champion now.

The name `champion` means the model that serves; answers say which one that was. Other names go to the server as they
are.
"""

import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import quote

import httpx
import orjson
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from tasks.lm.bearer import bearer

NAME = "champion"
AGAIN_SECONDS = 5
TIMEOUT = httpx.Timeout(10, read=600)  # seconds; a long answer that is not streamed comes all at once
PASSED = {"content-type", "content-encoding", "content-length", "retry-after", "x-request-id"}


@dataclass
class Backend:
    """A server that is loaded: `url` ends in /v1; `in_flight` counts the answers that it owes."""

    model: str
    url: str
    key: str
    in_flight: int = 0


class Front:
    """Where requests go.

    `backend` is replaced at once, by whoever loads models: a request goes to the old one or to the new one, and what
    it began there it ends there. While it is None, callers are told to come again.
    """

    def __init__(self, key: str | None) -> None:
        """`key` is what callers must send as a bearer token; None lets everybody in."""
        self.key = key
        self.backend: Backend | None = None
        self.client = httpx.AsyncClient(timeout=TIMEOUT, limits=httpx.Limits(max_connections=None))

    async def health(self, _: Request) -> Response:
        """200 while a model answers."""
        found = self.backend
        return Response(status_code=503) if found is None else _json(200, {"model": found.model})

    async def forward(self, request: Request) -> Response:
        """Pass a request on, and its answer back as it comes."""
        if self.key is not None and not _same(request.headers.get("authorization", ""), f"Bearer {self.key}"):
            return _error(401, "The API key is missing or wrong.")
        body = await request.body()
        backend = self.backend
        if backend is None:
            return _error(503, "The champion is being loaded; come again.", {"retry-after": str(AGAIN_SECONDS)})
        try:
            passed = self._request(request, body, backend)
        except httpx.InvalidURL as error:
            return _error(400, f"This path leads nowhere: {error}")
        backend.in_flight += 1
        try:
            answer = await self.client.send(passed, stream=True)
        except httpx.TransportError as error:
            backend.in_flight -= 1
            return _error(502, f"The server of {backend.model} does not answer ({type(error).__name__}).")
        except BaseException:  # as of a caller that went away
            backend.in_flight -= 1
            raise
        return Passed(answer, backend)

    def _request(self, request: Request, body: bytes, backend: Backend) -> httpx.Request:
        """The same request to the server.

        Raises:
            httpx.InvalidURL: its path is too long, or has dots that would lead out of what the front is there for.
        """
        path = request.scope["path"]
        if {".", ".."} & set(path.split("/")):
            raise httpx.InvalidURL("it has dots")
        headers = bearer(backend.key)
        if "content-type" in request.headers:
            headers["content-type"] = request.headers["content-type"]
        return self.client.build_request(
            request.method,
            backend.url.removesuffix("/v1") + quote(path),
            params=request.query_params,
            content=_named(body, backend.model),
            headers=headers,
        )


class Passed(StreamingResponse):
    """A server's answer, passed on as it comes; however that ends, the server owes it no more."""

    def __init__(self, answer: httpx.Response, backend: Backend) -> None:
        headers = {name: value for name, value in answer.headers.items() if name in PASSED}
        super().__init__(answer.aiter_raw(), answer.status_code, headers)
        self.answer, self.backend = answer, backend

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See Starlette."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self.backend.in_flight -= 1
            await self.answer.aclose()


def application(front: Front) -> FastAPI:
    """The front as an ASGI application: `/v1/...`, vLLM's `/tokenize`, which tells the chat template, and `/health`."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await front.client.aclose()

    app = FastAPI(lifespan=lifespan, openapi_url=None)
    app.add_route("/v1/{path:path}", front.forward, methods=["GET", "POST"])
    app.add_route("/tokenize", front.forward, methods=["POST"])
    app.add_route("/health", front.health)
    return app


def _named(body: bytes, model: str) -> bytes:
    """The body with the champion's own name where it asks for `champion`."""
    try:
        asked = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body
    return orjson.dumps(asked | {"model": model}) if isinstance(asked, dict) and asked.get("model") == NAME else body


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())


def _json(status: int, content: object) -> Response:
    return Response(orjson.dumps(content), status, media_type="application/json")


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    """As OpenAI's API says it, so that its clients understand."""
    found = _json(status, {"error": {"message": message, "type": "flywheel", "code": status}})
    found.headers.update(headers or {})
    return found
