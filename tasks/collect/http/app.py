"""What the collector answers: `POST /v1/interactions`, `/v1/feedback` and `/v1/traces`, `/healthz`, `/metrics`.

A request is answered with success only once all of its good records are on the disk.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import orjson
from fastapi import FastAPI, Request, Response

from configs.settings import CollectSettings, Source
from tasks.collect.http import metrics, otlp
from tasks.collect.http.body import JSON, Refused, json_records, media_type, read_body
from tasks.collect.http.check import Checked, Rule, anything, check, only_feedback
from tasks.collect.http.keys import Keys, holder
from tasks.collect.http.metrics import Metrics
from tasks.collect.http.spool import Spool, SpoolError

LARGE = 2**18
"""Bytes of a body from which on it is looked through beside the event loop, so that other requests need not wait."""
ROTATE_SECONDS = 60.0
AGAIN_SECONDS = 30


@dataclass(frozen=True)
class Collector:
    """What the endpoints work with.

    Args:
        spool: where records go.
        source: the spool as a source: what `collect` will read it as.
        settings: of step 1.
        keys: who may send; nobody is asked when it is empty.
    """

    spool: Spool
    source: Source
    settings: CollectSettings
    keys: Keys
    metrics: Metrics = field(default_factory=Metrics)


Endpoint = Callable[[Request], Awaitable[Response]]


def application(collector: Collector) -> FastAPI:
    """The collector as an ASGI application."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        rotation = asyncio.create_task(_rotate(collector.spool))
        yield
        rotation.cancel()
        await collector.spool.close()

    app = FastAPI(lifespan=lifespan, openapi_url=None)  # the README describes it; its pages would load from elsewhere
    takes = {
        "/v1/interactions": _json_endpoint(collector, "interactions", anything),
        "/v1/feedback": _json_endpoint(collector, "feedback", only_feedback),
        "/v1/traces": _traces_endpoint(collector),
    }
    for path, endpoint in takes.items():  # as plain routes: there are no parameters that FastAPI should look for
        app.add_route(path, endpoint, methods=["POST"])

    @app.get("/healthz")
    async def healthz() -> Response:
        refusal = collector.spool.refusal()
        return _json(503, {"status": str(refusal)}) if refusal else _json(200, {"status": "ok"})

    @app.get("/metrics")
    async def figures() -> Response:
        collector.metrics.spool_bytes.set(collector.spool.size())
        return Response(collector.metrics.text(), media_type=metrics.TYPE)

    return app


async def _rotate(spool: Spool) -> None:
    while True:
        await asyncio.sleep(ROTATE_SECONDS)
        spool.rotate()


def _json_endpoint(collector: Collector, route: str, rule: Rule) -> Endpoint:
    """Takes records as JSON: 202 and what was rejected, 422 when nothing can be used."""

    def checked(body: bytes, media: str) -> tuple[Checked, int]:
        return check(json_records(body, media), collector.source, collector.settings, rule), 0

    def answer(found: Checked, media: str) -> Response:
        del media
        status = 202 if found.lines or not found.refused else 422
        rejected = [{"index": index, "status": 422, "reason": reason} for index, reason in found.rejected]
        return _json(status, {"accepted": len(found.lines), "rejected": rejected})

    def refusal(refused: Refused, media: str) -> Response:
        del media
        return _json(refused.status, {"error": str(refused)})

    return _Route(collector, route, checked, answer, refusal).endpoint


def _traces_endpoint(collector: Collector) -> Endpoint:
    """Takes an OTLP export: always 200 when it can be read, as the protocol says, and what was rejected."""

    def checked(body: bytes, media: str) -> tuple[Checked, int]:
        told, others = otlp.told_spans(body, media)
        return check(told, collector.source, collector.settings), others

    def answer(found: Checked, media: str) -> Response:
        return Response(otlp.answer(found, media), media_type=media)

    def refusal(refused: Refused, media: str) -> Response:
        media = media if media == JSON else otlp.PROTOBUF
        return Response(otlp.error(str(refused), media), refused.status, media_type=media)

    return _Route(collector, "traces", checked, answer, refusal).endpoint


@dataclass(frozen=True)
class _Route:
    """How an endpoint takes records.

    Args:
        checked: from a body and its type to its records, and how many it holds that are of no use here.
        answer: to a request that was understood.
        refusal: to one that was not.
    """

    collector: Collector
    name: str
    checked: Callable[[bytes, str], tuple[Checked, int]]
    answer: Callable[[Checked, str], Response]
    refusal: Callable[[Refused, str], Response]

    async def endpoint(self, request: Request) -> Response:
        start, media = time.perf_counter(), media_type(request)
        try:
            response = self.answer(await self._take(request, media), media)
        except Refused as refused:
            response = self.refusal(refused, media)
            response.headers["connection"] = "close"  # what is left of its body is not waited for
            if refused.status == 401:
                response.headers["www-authenticate"] = "Bearer"
            if refused.again is not None:
                response.headers["retry-after"] = str(refused.again)
        self.collector.metrics.requests.labels(self.name, response.status_code).inc()
        self.collector.metrics.request_seconds.labels(self.name).observe(time.perf_counter() - start)
        return response

    async def _take(self, request: Request, media: str) -> Checked:
        """Read, check and store; comes back once the good records are durable."""
        collector = self.collector
        if collector.keys and holder(collector.keys, request.headers.get("authorization")) is None:
            raise Refused(401, "No valid API key: send the header `Authorization: Bearer KEY`.")
        body = await read_body(request, collector.settings.http.max_request_bytes)
        if len(body) < LARGE:
            found, ignored = self.checked(body, media)
        else:
            found, ignored = await asyncio.to_thread(self.checked, body, media)
        if found.lines:
            try:
                await collector.spool.add(found.lines)
            except SpoolError as error:
                status = 429 if error.full else 503
                raise Refused(status, f"Nothing was taken: {error}; try again.", again=AGAIN_SECONDS) from error
        for outcome, count in {"accepted": len(found.lines), "rejected": found.refused, "ignored": ignored}.items():
            if count:
                collector.metrics.records.labels(self.name, outcome).inc(count)
        return found


def _json(status: int, value: object) -> Response:
    return Response(orjson.dumps(value), status, media_type=JSON)
