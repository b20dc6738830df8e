"""Losses, embeddings and rewards from a vLLM server, over its API, instead of from a model in this process.

Losses are its `prompt_logprobs` (https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html), embeddings and
rewards come from a server that runs a pooling model. Prompts are sent as tokens, so that what is scored is exactly what
a model in this process would score.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import httpx
import numpy as np

from configs.mistake import Mistake
from storage.progress import progress
from tasks.lm.bearer import bearer
from tasks.lm.likelihood import Likelihoods, length_batches
from tasks.lm.template import Encoded

IN_FLIGHT = 16
TOKENS = 8192
"""Tokens of one request, so that an answer is never huge: each token's figure is some hundred bytes of JSON."""
TRIES, WAIT = 5, 1.0
TIMEOUT = 600.0
KEY_VARIABLE = "FLYWHEEL_API_KEY"


class EndpointError(Mistake):
    """A server that does not give scores; the message says what it answered and which setting names it."""


@dataclass(frozen=True)
class Endpoint:
    """A server.

    Args:
        url: its address, ending in /v1.
        setting: which setting names it, for errors.
        model: the name it serves the model by; None asks it.
    """

    url: str
    setting: str
    model: str | None = None


def remote_likelihoods(endpoint: Endpoint, rows: Sequence[Encoded], label: str) -> Likelihoods:
    """Losses of all rows under the server's model: as `tasks.lm.likelihood.likelihoods`, without pooled states.

    Args:
        endpoint: a server that generates.
        rows: encoded by the tokenizer of its model.
        label: what the progress line says.

    Raises:
        EndpointError: it cannot be reached, or gives no `prompt_logprobs`.
    """
    sums = np.zeros((4, len(rows)))
    batches = list(length_batches([len(row.input_ids) for row in rows], TOKENS))

    def ask(client: httpx.Client, model: str, batch: Sequence[int]) -> None:
        prompts = [rows[at].input_ids for at in batch]
        body = {"model": model, "prompt": prompts, "max_tokens": 1, "temperature": 0, "prompt_logprobs": 0}
        choices = sorted(_post(client, endpoint, "completions", body)["choices"], key=lambda choice: choice["index"])
        for at, choice in zip(batch, choices, strict=True):
            if choice.get("prompt_logprobs") is None:
                raise EndpointError(f"{endpoint.setting}: {endpoint.url} gives no prompt_logprobs; it must be vLLM.")
            sums[:, at] = _sums(rows[at], choice["prompt_logprobs"])

    _run(endpoint, ask, batches, label)
    return Likelihoods(sums[0], sums[1].astype(np.int64), sums[2], sums[3].astype(np.int64), None)


def remote_embeddings(endpoint: Endpoint, texts: Sequence[str], label: str) -> np.ndarray:
    """Embeddings of all texts (n x d, float32, of length 1) from a server that runs an embedding model.

    Raises:
        EndpointError: it cannot be reached, or gives no embeddings.
    """
    found: dict[int, list[float]] = {}
    batches = [list(range(at, min(at + 64, len(texts)))) for at in range(0, len(texts), 64)]

    def ask(client: httpx.Client, model: str, batch: Sequence[int]) -> None:
        body = {"model": model, "input": [texts[at] for at in batch], "truncate_prompt_tokens": -1}
        for at, row in zip(batch, _post(client, endpoint, "embeddings", body)["data"], strict=True):
            found[at] = row["embedding"]

    _run(endpoint, ask, batches, label)
    vectors = np.array([found[at] for at in range(len(texts))], dtype=np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def remote_rewards(endpoint: Endpoint, encoded: Sequence[Sequence[int]], label: str) -> np.ndarray:
    """How good the server's reward model finds each answer (n, 0 to 1; not a number where there are no tokens).

    Args:
        endpoint: a server that classifies (https://docs.vllm.ai/en/stable/models/pooling_models/classify/); it applies
            the sigmoid itself.
        encoded: conversations by the tokenizer of its model.
        label: what the progress line says.

    Raises:
        EndpointError: it cannot be reached, or its model has several outputs.
    """
    found = np.full(len(encoded), np.nan)

    def ask(client: httpx.Client, model: str, batch: Sequence[int]) -> None:
        body = {"model": model, "input": [list(encoded[at]) for at in batch]}
        root = replace(endpoint, url=endpoint.url.removesuffix("/v1"))  # vLLM's own call, not one of OpenAI's
        for at, row in zip(batch, _post(client, root, "classify", body)["data"], strict=True):
            if len(row["probs"]) != 1:
                raise EndpointError(
                    f"{endpoint.setting}: {endpoint.url} serves a model of {len(row['probs'])} outputs; "
                    "a reward model has one."
                )
            found[at] = row["probs"][0]

    _run(endpoint, ask, list(length_batches([len(ids) for ids in encoded], TOKENS)), label)
    return found


def _sums(row: Encoded, figures: Sequence[Mapping[str, Mapping[str, float]] | None]) -> tuple[float, int, float, int]:
    """Text loss, text tokens, answer loss, answer tokens. Of the first token, which nothing predicts, there is none."""
    pairs = zip(row.input_ids[1:], figures[1:], strict=True)
    losses = [-float(figure[str(token)]["logprob"]) if figure else 0.0 for token, figure in pairs]
    parts = [[loss for loss, on in zip(losses, mask[1:], strict=True) if on] for mask in (row.text, row.answer)]
    return sum(parts[0]), len(parts[0]), sum(parts[1]), len(parts[1])


def _run(
    endpoint: Endpoint,
    ask: Callable[[httpx.Client, str, Sequence[int]], None],
    batches: Sequence[list[int]],
    label: str,
) -> None:
    """Ask for all batches, several at a time."""
    headers = bearer(os.environ.get(KEY_VARIABLE))
    with httpx.Client(headers=headers, timeout=TIMEOUT) as client, ThreadPoolExecutor(IN_FLIGHT) as pool:
        model = endpoint.model or _served(client, endpoint)
        done: Iterator[None] = pool.map(lambda batch: ask(client, model, batch), batches)
        for _ in progress(done, len(batches), label, "requests"):
            pass


def _served(client: httpx.Client, endpoint: Endpoint) -> str:
    answer = _send(endpoint, lambda: client.get(f"{endpoint.url}/models"))
    return str(answer.json()["data"][0]["id"])


def _post(client: httpx.Client, endpoint: Endpoint, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    answer = _send(endpoint, lambda: client.post(f"{endpoint.url}/{path}", json=body))
    return dict(answer.json())


def _send(endpoint: Endpoint, send: Callable[[], httpx.Response]) -> httpx.Response:
    """The answer; a server that is busy or away for a moment is asked again, later and later."""
    said = ""
    for turn in range(TRIES):
        try:
            answer = send()
        except httpx.TransportError as error:
            said = f"cannot be reached ({type(error).__name__})"
        else:
            if answer.is_success:
                return answer
            said = f"answers {answer.status_code}"
            if answer.status_code < 500 and answer.status_code != 429:
                break
        if turn < TRIES - 1:
            time.sleep(WAIT * 2**turn)
    raise EndpointError(
        f"{endpoint.setting}: {endpoint.url} {said}; set it to the address of a vLLM server, ending in /v1, and "
        f"{KEY_VARIABLE} to its key if it has one."
    )
