"""Which engine answers: the endpoints, a vLLM server of our own, or this process."""

import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from configs.inference import InferenceSettings
from storage.snapshot import digest
from tasks.inference.endpoint import Endpoint, connect
from tasks.inference.engine import Engine, EngineError, Outcome, Request, Sampling
from tasks.inference.in_process import InProcess
from tasks.inference.server import Server, serve, vllm_command
from tasks.lm.generate import Completion
from tasks.lm.load import load_tokenizer, resolve
from tasks.lm.template import template_hash

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class OwnServer:
    """A model behind a vLLM server that starts with the first request and ends with `stack`. See `Engine`."""

    folder: Path
    model: str
    identity: str
    settings: InferenceSettings
    stack: ExitStack = field(repr=False)

    @cached_property
    def server(self) -> Server:
        """The server, started when it is first needed: a run whose requests are all journaled needs none."""
        command = vllm_command(
            self.settings.vllm_python,
            self.folder,
            self.model,
            max_model_len=self.settings.max_model_len,
            arguments=self.settings.vllm_arguments,
        )
        return self.stack.enter_context(serve(command, start_timeout=self.settings.start_timeout))

    def generate(self, requests: Iterable[Request], sampling: Sampling) -> Iterator[tuple[int, Outcome]]:
        """See `Engine`."""
        server = self.server
        limits = _limits(self.settings)
        endpoint = Endpoint(
            [server.url], self.model, self.identity, self.folder, server.key, self.settings.section, **limits
        )
        for position, outcome in endpoint.generate(requests, sampling):
            if not isinstance(outcome, Completion):
                server.check()
            yield position, outcome


@contextmanager
def open_engine(settings: InferenceSettings, model: str, *, on_policy: bool = False) -> Iterator[Engine]:
    """The engine that the settings choose; whatever it started is ended with the block.

    Args:
        settings: which engine, and its limits.
        model: folder or name of the model, for engines of our own.
        on_policy: the answers must be this very model's, so endpoints, which serve another one, are passed over.

    Raises:
        EngineError: the chosen engine is not to be had.
        MissingModelError: no such model.
    """
    kind = _choose(settings, on_policy=on_policy)
    with ExitStack() as stack:
        if kind == "openai":
            engine: Engine = connect(
                settings.endpoints,
                model=settings.endpoint_model,
                key=os.environ.get(settings.key_variable),
                section=settings.section,
                **_limits(settings),
            )
        else:
            folder = resolve(model)
            name, identity = folder.name, _identity(folder)
            engine = (
                OwnServer(folder, name, identity, settings, stack)
                if kind == "vllm"
                else InProcess(folder, name, identity)
            )
        log.info("%s: %s answers, by %s", settings.section, engine.model, kind)
        yield engine


def _choose(settings: InferenceSettings, *, on_policy: bool) -> str:
    kind = settings.engine
    if kind == "openai" and not settings.endpoints:
        raise EngineError(f'{settings.section}.engine is "openai", but its endpoints name no address ending in /v1.')
    if kind == "vllm" and not Path(settings.vllm_python).exists():
        raise EngineError(
            f'{settings.section}.engine is "vllm", but there is no {settings.vllm_python}: build that environment '
            "(`make vllm-cpu` does without a GPU) or set vllm_python."
        )
    if kind in {"vllm", "transformers"}:
        return kind
    if settings.endpoints and not on_policy:
        return "openai"
    return "vllm" if Path(settings.vllm_python).exists() else "transformers"


def _limits(settings: InferenceSettings) -> dict[str, Any]:
    return settings.model_dump(include={"in_flight", "timeout", "retries"})


def _identity(folder: Path) -> str:
    """Which weights and template a folder holds, without reading the weights."""
    files = sorted(file for file in folder.iterdir() if file.suffix in {".safetensors", ".json"})
    stamps = [f"{file.name} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files]
    return digest(folder.name, template_hash(load_tokenizer(folder)), *stamps)
