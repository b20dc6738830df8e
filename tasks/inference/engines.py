"""Which engine answers: the endpoints, a vLLM server of our own, or this process."""

import json
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
from tasks.inference.template import template_fault
from tasks.lm.generate import Completion
from tasks.lm.load import MissingModelError, load_tokenizer, require_merged, resolve
from tasks.lm.template import template_hash

log = logging.getLogger(__name__)
ADAPTER = "adapter_config.json"
RANKS = (8, 16, 32, 64, 128, 256, 512)
"""Those that every vLLM has room for."""


@dataclass(frozen=True)
class OwnServer:
    """A model behind a vLLM server that starts with the first request and ends with `stack`. See `Engine`."""

    folder: Path
    adapter: Path | None
    model: str
    identity: str
    settings: InferenceSettings
    stack: ExitStack = field(repr=False)

    @property
    def command(self) -> list[str]:
        """What starts the server, all but host and port."""
        settings = self.settings
        return vllm_command(
            settings.vllm_python,
            self.folder,
            self.folder.name,
            max_model_len=settings.max_model_len,
            arguments=[*_lora(self.adapter, self.model), *_memory(settings), *settings.vllm_arguments],
        )

    @cached_property
    def server(self) -> Server:
        """The server, started when it is first needed: a run whose requests are all journaled needs none.

        Raises:
            EngineError: it does not start, or writes conversations otherwise than the model was trained to read them.
        """
        server = self.stack.enter_context(serve(self.command, start_timeout=self.settings.start_timeout))
        if fault := template_fault(server.url, self.folder.name, server.key, self.folder):
            raise EngineError(fault)
        return server

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
        model: folder or name of the champion, for engines of our own.
        on_policy: the answers must be this very model's, so endpoints, which serve another one, are passed over, and
            so are the settings that name another model or an adapter.

    Raises:
        EngineError: the chosen engine is not to be had.
        MissingModelError: no such model.
        UnmergedError: a model that is more than its weights, which vLLM serves alone.
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
            own = on_policy or settings.model == "champion"
            folder = resolve(model) if own else resolve(settings.model, f"{settings.section}.model")
            if kind == "vllm":
                require_merged(folder)
            adapter = None if on_policy else _adapter(settings)
            name = f"{folder.name}+{adapter.name}" if adapter else folder.name
            identity = _identity(folder, adapter)
            engine = (
                OwnServer(folder, adapter, name, identity, settings, stack)
                if kind == "vllm"
                else InProcess(folder, adapter, name, identity)
            )
        log.info("%s: %s answers, by %s", settings.section, engine.model, kind)
        yield engine


def _choose(settings: InferenceSettings, *, on_policy: bool) -> str:
    if settings.engine == "openai" and not settings.endpoints:
        raise EngineError(f'{settings.section}.engine is "openai", but its endpoints name no address ending in /v1.')
    if settings.asks_endpoints and not on_policy:
        return "openai"
    built = Path(settings.vllm_python).exists()
    if settings.engine == "vllm" and not built:
        raise EngineError(
            f'{settings.section}.engine is "vllm", but there is no {settings.vllm_python}: build that environment '
            "(`make vllm-cpu` does without a GPU) or set vllm_python."
        )
    if settings.engine in {"vllm", "transformers"}:
        return settings.engine
    return "vllm" if built else "transformers"


def _limits(settings: InferenceSettings) -> dict[str, Any]:
    return settings.model_dump(include={"in_flight", "timeout", "retries"})


def _adapter(settings: InferenceSettings) -> Path | None:
    if settings.lora_adapter is None:
        return None
    folder = Path(settings.lora_adapter).expanduser()
    if not (folder / ADAPTER).exists():
        raise MissingModelError(f"{settings.section}.lora_adapter: {folder} is no LoRA adapter: it has no {ADAPTER}.")
    return folder.resolve()


def _lora(adapter: Path | None, name: str) -> list[str]:
    """vLLM's arguments for an adapter that answers under `name`."""
    if adapter is None:
        return []
    rank = int(json.loads((adapter / ADAPTER).read_text())["r"])
    room = next((most for most in RANKS if most >= rank), rank)
    return ["--enable-lora", f"--lora-modules={name}={adapter}", f"--max-lora-rank={room}"]


def _memory(settings: InferenceSettings) -> list[str]:
    share = settings.gpu_memory_utilization
    spread = [f"--tensor-parallel-size={settings.tensor_parallel_size}"] if settings.tensor_parallel_size > 1 else []
    return [*spread, *([f"--gpu-memory-utilization={share}"] if share else [])]


def _identity(folder: Path, adapter: Path | None) -> str:
    """Which weights and template a model and its adapter hold, without reading the weights."""
    folders = [folder, adapter] if adapter else [folder]
    files = sorted(file for one in folders for file in one.iterdir() if file.suffix in {".safetensors", ".json"})
    stamps = [f"{file.name} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files]
    return digest(folder.name, template_hash(load_tokenizer(folder)), *stamps)
