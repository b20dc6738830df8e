"""Looks at many paragraphs on all cores, in processes that are replaced when they die, hang or have served long."""

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue

from configs.settings import ScrubSettings
from storage.progress import progress
from tasks.engine.spread import spread
from tasks.scrub.finding import Looked

log = logging.getLogger(__name__)
CHUNK = 30_000  # characters of a request
FEW = 300_000  # fewer characters are looked at in this process: starting another one takes seconds
RECYCLED = 200  # requests after which a process is replaced, so that its memory stays flat
START_PATIENCE = 600.0  # seconds; loading takes five on an idle machine
PATIENCE, PATIENCE_PER_CHARACTER = 60.0, 1 / 500  # seconds until a request counts as hung

Unit = tuple[str | None, str]
"""The name engine of a paragraph (None: patterns only), and the paragraph."""


def look(units: Sequence[Unit], settings: ScrubSettings, engine: str = "local") -> dict[Unit, Looked]:
    """What each paragraph holds; see `tasks.scrub.analyze`.

    Args:
        units: paragraphs, each once.
        settings: what is looked for, and how many processes of this machine look.
        engine: local, or another place of `tasks.engine.spread`.
    """
    if engine != "local":
        work = partial(_looked, settings=settings)
        return _gathered(list(_requests(units)), lambda requests: spread(work, requests, engine=engine))
    count = settings.workers or os.cpu_count() or 1
    if count == 1 or sum(len(text) for _, text in units) <= FEW:
        return _gathered(list(_requests(units)), lambda requests: (_looked(one, settings) for one in requests))
    with Workers(settings, count) as workers:
        return workers.look(units)


Request = tuple[str | None, list[str]]


def _requests(units: Sequence[Unit]) -> Iterator[Request]:
    """Paragraphs in requests of about `CHUNK` characters, each for one name engine."""
    for model in sorted({model for model, _ in units}, key=str):
        texts: list[str] = []
        size = 0
        for text in (text for chosen, text in units if chosen == model):
            texts.append(text)
            size += len(text)
            if size >= CHUNK:
                yield model, texts
                texts, size = [], 0
        if texts:
            yield model, texts


def _looked(request: Request, settings: ScrubSettings) -> list[Looked]:
    from tasks.scrub.analyze import analyzer

    model, texts = request
    return analyzer(settings).look(texts, model)


def _gathered(requests: list[Request], answer: Callable[[list[Request]], Iterable[list[Looked]]]) -> dict[Unit, Looked]:
    looked: dict[Unit, Looked] = {}
    answers = zip(requests, answer(requests), strict=True)
    for (model, texts), found in progress(answers, len(requests), "scrub: looking", "requests"):
        looked |= {(model, text): finding for text, finding in zip(texts, found, strict=True)}
    return looked


class Workers:
    """Processes that look at paragraphs; a context manager, which ends them.

    Args:
        settings: what they look for.
        count: how many.
    """

    def __init__(self, settings: ScrubSettings, count: int) -> None:
        self._settings = settings
        self._workers = [Worker(settings) for _ in range(count)]
        self._idle: SimpleQueue[Worker] = SimpleQueue()
        for worker in self._workers:
            self._idle.put(worker)
        self._threads = ThreadPoolExecutor(count)

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        for worker in self._workers:
            worker.end()

    def look(self, units: Sequence[Unit]) -> dict[Unit, Looked]:
        """What each paragraph holds."""
        return _gathered(list(_requests(units)), lambda requests: self._threads.map(self._answer, requests))

    def start(self) -> list[int]:
        """Start all processes, load every name engine, and wait until they are ready; gives their ids."""
        models = [engine.model for engine in self._settings.engines]
        list(self._threads.map(lambda worker: [worker.look(model, ["Anna 安娜"]) for model in models], self._workers))
        return [worker.pid for worker in self._workers]

    def _answer(self, request: Request) -> list[Looked]:
        worker = self._idle.get()
        try:
            return worker.look(*request)
        finally:
            self._idle.put(worker)


class Worker:
    """One process, started when it is first needed."""

    def __init__(self, settings: ScrubSettings) -> None:
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._served = 0

    @property
    def pid(self) -> int:
        """Its process, or 0 before it is started."""
        return self._process.pid if self._process else 0

    def look(self, model: str | None, texts: list[str]) -> list[Looked]:
        """Findings of each text. When the process hangs or dies, halves are tried, to learn which text it was."""
        if self._served >= RECYCLED:
            self.end()
        answer = self._ask(model, texts)
        if answer is not None:
            return answer
        if len(texts) < 2:
            return ["the process that looked at it hung or died"]
        log.warning("scrub: a process hung or died on %d paragraphs; trying halves", len(texts))
        half = len(texts) // 2
        return self.look(model, texts[:half]) + self.look(model, texts[half:])

    def end(self) -> None:
        """End the process, whatever it does."""
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._connection = self._process = None
        self._served = 0

    def _ask(self, model: str | None, texts: list[str]) -> list[Looked] | None:
        patience = PATIENCE + PATIENCE_PER_CHARACTER * sum(map(len, texts))
        try:
            connection = self._connection or self._start()
            connection.send((model, texts))
            if connection.poll(patience):
                self._served += 1
                answer: list[Looked] = connection.recv()
                return answer
        except (EOFError, OSError):
            pass
        self.end()
        return None

    def _start(self) -> Connection:
        ours, theirs = Pipe()
        root = str(Path(__file__).resolve().parents[2])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tasks.scrub.worker", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))}
            | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
        theirs.close()
        self._connection = ours
        ours.send(self._settings)
        if not ours.poll(START_PATIENCE):
            raise EOFError
        ours.recv()
        return ours
