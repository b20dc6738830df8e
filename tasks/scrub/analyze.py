"""Looks at paragraphs: gates first, then the recognizers whose gate is open, then names, sentence by sentence."""

import re
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache

import polars as pl

from configs.settings import ScrubSettings
from tasks.scrub.engines import engine
from tasks.scrub.finding import Finding, Findings, Looked, ScrubError, resolve
from tasks.scrub.languages import model_of
from tasks.scrub.paragraphs import script, sentences
from tasks.scrub.patterns import compile_patterns, scan
from tasks.scrub.recognizers import Detector, detectors

REMEMBERED = 50_000  # sentences whose names are kept in memory
_PLACEHOLDER = re.compile(r"<[A-Z][A-Z0-9_]*_(?:\d+|[0-9a-f]{8})>")
_MACHINE_NAME = re.compile(  # a UUID, a hash: digits in them are no number of anything
    r"(?<![0-9A-Za-z])(?:[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}|[0-9a-f]{32,128})(?![0-9A-Za-z])"
)


class Analyzer:
    """Finds personal data and secrets under one set of settings."""

    def __init__(self, settings: ScrubSettings) -> None:
        self._settings = settings
        self._by_gate: dict[tuple[str, ...], list[Detector]] = defaultdict(list)
        for detector in detectors(settings):
            self._by_gate[detector.gate].append(detector)
            compile_patterns(detector.recognizer)
        self._seen: dict[tuple[str, str], Findings] = {}
        self._allow = {text.casefold() for text in settings.allow}
        self._chinese = model_of(settings, "zh")
        self._engines = {chosen.model: chosen for chosen in settings.engines}

    def look(self, texts: Sequence[str], model: str | None) -> list[Looked]:
        """What each paragraph holds, in order of `texts`: findings that do not overlap, or the reason of a failure.

        Args:
            texts: paragraphs.
            model: the name engine of their language; None looks for patterns only. Chinese stretches have their own.
        """
        found: list[Looked] = [
            self._patterns(text, gates) for text, gates in zip(texts, self._open(texts), strict=True)
        ]
        if model:
            self._add_names(texts, found, model)
        return [
            looked if isinstance(looked, str) else resolve(self._wanted(looked, text), text)
            for looked, text in zip(found, texts, strict=True)
        ]

    def _open(self, texts: Sequence[str]) -> list[list[tuple[str, ...]]]:
        """The open gates of each text."""
        column = pl.DataFrame({"text": texts}, schema={"text": pl.String})
        gates = list(self._by_gate)
        found = column.select(
            pl.all_horizontal(pl.lit(value=True), *(pl.col("text").str.contains(part) for part in gate)).alias(str(n))
            for n, gate in enumerate(gates)
        )
        return [[gate for gate, hit in zip(gates, hits, strict=True) if hit] for hits in found.iter_rows()]

    def _patterns(self, text: str, gates: Sequence[tuple[str, ...]]) -> Looked:
        try:
            return [
                finding
                for gate in gates
                for detector in self._by_gate[gate]
                for finding in scan(detector.recognizer, text, self._settings.threshold)
            ]
        except ScrubError as error:
            return str(error)
        except Exception as error:  # noqa: BLE001 - whatever a recognizer fails with, its text was not looked at
            return f"{type(error).__name__} in a recognizer"

    def _add_names(self, texts: Sequence[str], found: list[Looked], model: str) -> None:
        """Add the names of each paragraph to `found`; a sentence that stands in several is looked at once."""
        places: dict[str, dict[str, list[tuple[int, int]]]] = defaultdict(lambda: defaultdict(list))
        for index, text in enumerate(texts):
            for start, sentence in sentences(text):
                if (kind := script(sentence)) and (chosen := self._chinese if kind == "zh" else model):
                    places[chosen][sentence].append((index, start))
        for chosen, by_sentence in places.items():
            looked = self._names(chosen, list(by_sentence))
            for where, names in zip(by_sentence.values(), looked, strict=True):
                for index, start in where:
                    before = found[index]
                    if isinstance(names, str):
                        found[index] = names
                    elif isinstance(before, list):
                        before.extend(name.moved(start) for name in names)

    def _names(self, model: str, sentences_: Sequence[str]) -> list[Looked]:
        """Names of each sentence; those of the last ones are remembered, because templates repeat."""
        if len(self._seen) > REMEMBERED:
            self._seen.clear()
        new = [sentence for sentence in sentences_ if (model, sentence) not in self._seen]
        looked = dict(zip(new, self._found(model, new), strict=True))
        self._seen |= {(model, sentence): names for sentence, names in looked.items() if not isinstance(names, str)}
        return [looked[s] if s in looked else self._seen[model, s] for s in sentences_]

    def _found(self, model: str, batch: Sequence[str]) -> Sequence[Looked]:
        """Names of each sentence; where the batch fails, one by one, to learn which one it was."""
        names = engine(self._engines[model], self._settings.threshold)
        try:
            return names.find(batch)
        except Exception as error:  # noqa: BLE001 - whatever an engine fails with, its text was not looked at
            if len(batch) == 1:
                return [f"{type(error).__name__} in the name engine {model}"]
            return [self._found(model, [sentence])[0] for sentence in batch]

    def _wanted(self, findings: Findings, text: str) -> Findings:
        """Findings but for types and texts that the settings keep, and for parts of placeholders, UUIDs and hashes."""
        taken = [match.span() for match in _PLACEHOLDER.finditer(text)]
        names = [match.span() for match in _MACHINE_NAME.finditer(text)]
        return [
            finding
            for finding in findings
            if finding.type not in self._settings.keep
            and text[finding.start : finding.end].casefold() not in self._allow
            and not any(finding.start < end and finding.end > start for start, end in taken)
            and not any(_is_part_of(finding, start, end) for start, end in names)
        ]


def _is_part_of(finding: Finding, start: int, end: int) -> bool:
    return start <= finding.start and finding.end <= end and finding.end - finding.start < end - start


@lru_cache(maxsize=4)
def analyzer(settings: ScrubSettings) -> Analyzer:
    """The analyzer of these settings, made once a process: it takes seconds."""
    return Analyzer(settings)
