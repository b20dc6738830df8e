"""An engine behind OpenAI's HTTP API: a vLLM server, a gateway, or a provider.

Source: https://platform.openai.com/docs/api-reference/chat/create; retries with full jitter as in "Exponential Backoff
And Jitter" (Amazon Web Services, 2015).
"""

import asyncio
import json
import logging
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio.from_thread
import httpx

from tasks.inference.engine import EngineError, Failure, Outcome, Request, Sampling
from tasks.lm.bearer import bearer
from tasks.lm.generate import Completion
from tasks.lm.template import clean_messages

log = logging.getLogger(__name__)
FIRST_WAIT = 0.5  # seconds; doubles with every further try
LONGEST_WAIT = 30.0
REFUSED = {401, 403, 404, 405}  # wrong key, address or model: every other request would end the same way


class RetryError(Exception):
    """This try failed, the next one may not; `wait` is what the server asked for, in seconds."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


@dataclass(frozen=True)
class Endpoint:
    """OpenAI-compatible servers of one model.

    Args:
        urls: their addresses, ending in /v1; requests are spread over them.
        model: what they call the model.
        identity: see `Engine`.
        folder: see `Engine`.
        key: sent as a bearer token.
        section: of the settings that name it, for errors.
        in_flight: requests that wait for an answer at a time.
        timeout: seconds that one try may take.
        retries: further tries after 429, 5xx, a timeout or an answer that cannot be read.
    """

    urls: Sequence[str]
    model: str
    identity: str
    folder: Path | None = None
    key: str | None = None
    section: str = "synthesize"
    in_flight: int = 64
    timeout: float = 600
    retries: int = 6

    def generate(self, requests: Iterable[Request], sampling: Sampling) -> Iterator[tuple[int, Outcome]]:
        """See `Engine`. The requests run in a thread's event loop, so this works inside a running loop too."""
        with anyio.from_thread.start_blocking_portal() as portal:
            done: asyncio.Queue[tuple[int, Outcome] | None] = asyncio.Queue(self.in_flight)
            running = portal.start_task_soon(self._answer_all, requests, sampling, done)
            try:
                while (item := portal.call(done.get)) is not None:
                    yield item
                running.result()
            finally:
                running.cancel()

    async def _answer_all(
        self,
        requests: Iterable[Request],
        sampling: Sampling,
        done: "asyncio.Queue[tuple[int, Outcome] | None]",
    ) -> None:
        waiting = enumerate(requests)  # shared: each worker takes the next one when it is free
        limits = httpx.Limits(max_connections=self.in_flight, max_keepalive_connections=self.in_flight)
        try:
            async with (
                httpx.AsyncClient(timeout=self.timeout, limits=limits, headers=bearer(self.key)) as client,
                asyncio.TaskGroup() as workers,
            ):
                for _ in range(self.in_flight):
                    workers.create_task(self._work(client, waiting, sampling, done))
        except* EngineError as errors:
            raise errors.exceptions[0] from None
        finally:
            await done.put(None)

    async def _work(
        self,
        client: httpx.AsyncClient,
        waiting: Iterator[tuple[int, Request]],
        sampling: Sampling,
        done: "asyncio.Queue[tuple[int, Outcome] | None]",
    ) -> None:
        for position, request in waiting:
            await done.put((position, await self._answer(client, position, request, sampling)))

    async def _answer(self, client: httpx.AsyncClient, position: int, request: Request, sampling: Sampling) -> Outcome:
        """Ask until there is an answer or no try is left."""
        reason = ""
        for attempt in range(self.retries + 1):
            url = self.urls[(position + attempt) % len(self.urls)]
            try:
                async with asyncio.timeout(self.timeout):  # httpx's own counts only silence, not a trickle of bytes
                    return await self._ask(client, url, request, sampling)
            except (RetryError, httpx.TransportError, TimeoutError) as error:
                reason = f"{type(error).__name__}: {error}" if not isinstance(error, RetryError) else str(error)
                asked = error.wait if isinstance(error, RetryError) else None
            if attempt < self.retries:
                log.debug("%s: %s; trying again", url, reason)
                await asyncio.sleep(_wait(attempt, asked))
        return Failure(reason)

    async def _ask(self, client: httpx.AsyncClient, url: str, request: Request, sampling: Sampling) -> Outcome:
        path = "completions" if request.is_text else "chat/completions"
        response = await client.post(f"{url}/{path}", json=self._body(request, sampling))
        if response.status_code in REFUSED:
            raise EngineError(
                f"{url} refuses requests for model {self.model} ({response.status_code}: {response.text[:200]}): "
                f"check {self.section}.endpoints, endpoint_model and the key in key_variable."
            )
        if response.status_code in {408, 409, 429} or response.status_code >= 500:
            raise RetryError(f"status {response.status_code}", _retry_after(response))
        if response.status_code != 200:
            return Failure(f"status {response.status_code}: {response.text[:200]}")
        return _completion(response, request)

    def _body(self, request: Request, sampling: Sampling) -> dict[str, Any]:
        asked: dict[str, Any] = (
            {"prompt": request.messages[0]["content"]}
            if request.is_text
            else {"messages": clean_messages(request.messages)}
        )
        form = {"name": "answer", "schema": json.loads(request.schema), "strict": True} if request.schema else None
        return {
            "model": self.model,
            **asked,
            "max_tokens": sampling.max_new_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": request.seed,
            **({"response_format": {"type": "json_schema", "json_schema": form}} if form else {}),
        }


def connect(
    urls: Sequence[str], *, model: str | None, key: str | None, section: str = "synthesize", **limits: Any
) -> Endpoint:
    """An engine on servers that already run.

    Args:
        urls: their addresses, ending in /v1.
        model: what they call the model; None takes the first one they list.
        key: sent as a bearer token.
        section: of the settings that name them, for errors.
        limits: in_flight, timeout, retries of `Endpoint`.

    Raises:
        EngineError: a server does not answer, or serves no such model.
    """
    addresses = [url.rstrip("/") for url in urls]
    listed = [_listed(url, key, section) for url in addresses]
    name = model or listed[0][0]
    for url, names in zip(addresses, listed, strict=True):
        if name not in names:
            raise EngineError(
                f"{url} serves {', '.join(names[:5])}, not {name}: set {section}.endpoint_model to one of them."
            )
    return Endpoint(addresses, name, identity=name, key=key, section=section, **limits)


def served(url: str, key: str | None) -> list[str]:
    """Names of the models that an OpenAI-compatible API serves.

    Args:
        url: ends in /v1.
        key: sent as a bearer token.

    Raises:
        EngineError: there is no such API.
    """
    try:
        response = httpx.get(f"{url}/models", headers=bearer(key), timeout=30).raise_for_status()
        return [str(model["id"]) for model in response.json()["data"]]
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, LookupError, TypeError) as error:
        said = f"No OpenAI-compatible API answers at {url}/models ({type(error).__name__}: {error})"
        raise EngineError(said) from error


def _listed(url: str, key: str | None, section: str) -> list[str]:
    try:
        names = served(url, key)
    except EngineError as error:
        raise EngineError(
            f"{error}: check {section}.endpoints, and the key in the variable that key_variable names."
        ) from error
    if not names:
        raise EngineError(f"{url} serves no model: start it with one.")
    return names


def _completion(response: httpx.Response, request: Request) -> Completion:
    try:
        body = response.json()
        choice = body["choices"][0]
        text = choice["text"] if request.is_text else choice["message"]["content"]
        usage = body.get("usage") or {}
        return Completion(
            text=str(text or "").strip(),
            finished=choice["finish_reason"] == "stop",
            tokens=int(usage.get("completion_tokens") or 0),
            prompt_tokens=int(usage.get("prompt_tokens") or 0),
        )
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise RetryError(f"the answer is no completion ({type(error).__name__})") from error


def _retry_after(response: httpx.Response) -> float | None:
    try:
        return max(0.0, float(response.headers["Retry-After"]))
    except (KeyError, ValueError):  # absent, or a date: then our own wait has to do
        return None


def _wait(attempt: int, asked: float | None) -> float:
    """Seconds until the next try: a random part of an exponential wait, after what the server asked for."""
    # not reproducible on purpose: what waits together must not come back together; no output depends on it
    jitter = random.uniform(0, min(LONGEST_WAIT, FIRST_WAIT * 2**attempt))
    return min(asked or 0.0, 2 * LONGEST_WAIT) + jitter
