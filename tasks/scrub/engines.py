"""Name engines: who finds people, places and organisations in running text. One per language, pluggable."""

import re
from collections.abc import Sequence
from contextlib import ExitStack
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from configs.mistake import Mistake
from configs.settings import ScrubSettings
from tasks.scrub.chinese import chinese_name
from tasks.scrub.finding import Finding

SCORE = 0.5  # spaCy gives none; below that of patterns, which know what they found

ZONE = 2_000_000  # characters between which the vocabulary is kept
BATCH = 256  # sentences of one pass through the network

SPACY_LABELS = {
    "PERSON": "PERSON",
    "PER": "PERSON",
    "GPE": "LOCATION",
    "LOC": "LOCATION",
    "FAC": "LOCATION",
    "ORG": "ORGANIZATION",
    "NORP": "NRP",
    "DATE": "DATE_TIME",
    "TIME": "DATE_TIME",
}
SPACY_UNUSED = ("tagger", "parser", "senter", "lemmatizer", "attribute_ruler", "morphologizer")
JIEBA_LABELS = {"nr": "PERSON", "nrt": "PERSON", "nrfg": "PERSON", "ns": "LOCATION", "nt": "ORGANIZATION"}

HAN = re.compile(r"[\u3400-\u9fff]")
_EDGES = re.compile(r"[\W_]*(.*?)(?:\\\\?['’]s?)?[\s\"”“>*|:,;_\\\\-]*$", re.DOTALL)
_CODE = re.compile(r"[_=<>%$\\|+@#{}\[\]]|\w\(|\)\w|\S{25}")
_DATE = re.compile(
    r"\d|(?i:mon|tues|wednes|thurs|fri|satur|sun)day|\b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)",
    re.IGNORECASE,
)
_DURATION = re.compile(
    r"(?i)(?:\D{0,20}\d[\d,.]*)[ -]?(?:second|minute|hour|day|week|month|year|decade|centur)\w*.{0,12}"
)
LATIN = re.compile(r"[A-Za-z\u00c0-\u024f]")


class MissingEngineError(Mistake):
    """A name engine or its model is not installed; the message says how to get it."""


class NameEngine(Protocol):
    """Finds names in texts of its languages."""

    def find(self, texts: Sequence[str]) -> list[list[Finding]]:
        """The names in each text, in the order of `texts`."""
        ...


class SpacyNames:
    """spaCy's entity recognizer, with the components it needs and no other."""

    def __init__(self, model: str) -> None:
        import spacy
        from thinc.api import NumpyOps

        from tasks.scrub.transitions import transitions

        self._nlp = spacy.load(model, exclude=list(SPACY_UNUSED))
        ner: Any = self._nlp.get_pipe("ner")
        if "tok2vec" in self._nlp.pipe_names and not any("listener" in node.name for node in ner.model.walk()):
            self._nlp.remove_pipe("tok2vec")  # the entity recognizer has its own
        ops = NumpyOps(use_blis=False)  # NumPy's OpenBLAS multiplies 3 times faster than blis here
        for name in self._nlp.pipe_names:
            pipe: Any = self._nlp.get_pipe(name)
            for node in pipe.model.walk():
                node.ops = ops
        self._fast = transitions(ner) if self._nlp.pipe_names == ["ner"] else None

        self._zone = ExitStack()
        self._characters = ZONE

    def find(self, texts: Sequence[str]) -> list[list[Finding]]:
        self._forget()
        if self._fast is None:
            docs = list(self._nlp.pipe(texts, batch_size=BATCH))
            self._characters += sum(map(len, texts))
            return [_spacy_findings(text, doc, _entities(doc)) for text, doc in zip(texts, docs, strict=True)]
        docs = [self._nlp.make_doc(text) for text in texts]
        batches = (docs[start : start + BATCH] for start in range(0, len(docs), BATCH))
        spans = (span for batch in batches for span in self._fast.spans(batch))
        found = [_spacy_findings(*each) for each in zip(texts, docs, spans, strict=True)]
        self._characters += sum(map(len, texts))
        return found

    def _forget(self) -> None:
        """Now and then, all words: else the vocabulary keeps every one it ever saw; each time would cost a fifth."""
        if self._characters >= ZONE:
            self._zone.close()
            self._zone.enter_context(self._nlp.memory_zone())
            self._characters = 0


class JiebaNames:
    """Chinese words by jieba (its Rust build, which carries the dictionary): the tags of names and places."""

    def __init__(self) -> None:
        import rjieba

        self._tag = rjieba.tag

    def find(self, texts: Sequence[str]) -> list[list[Finding]]:
        return [self._findings(text) for text in texts]

    def _findings(self, text: str) -> list[Finding]:
        findings, start = [], 0
        for word, tag in self._tag(text):
            end = start + len(word)
            label = JIEBA_LABELS.get(tag)
            if label and (label != "PERSON" or chinese_name(word)):
                findings.append(Finding(start, end, label, SCORE))
            start = end
        return findings


def check(settings: ScrubSettings) -> None:
    """See that every engine is installed, without loading it.

    Raises:
        MissingEngineError: one is not.
    """
    for chosen in settings.engines:
        package = "rjieba" if chosen.model == "jieba" else chosen.model
        if not Path(package).is_dir() and find_spec(package) is None:
            raise MissingEngineError(
                f"scrub.engines: {chosen.model} is not installed: `pip install {package.replace('_', '-')}`."
            )


@lru_cache(maxsize=8)
def engine(name: str) -> NameEngine:
    """The engine of that name, loaded once: "jieba", or a spaCy model."""
    return JiebaNames() if name == "jieba" else SpacyNames(name)


def _entities(doc: Any) -> list[tuple[int, int, str]]:
    return [(span.start, span.end, span.label_) for span in doc.ents]


def _spacy_findings(text: str, doc: Any, entities: Sequence[tuple[int, int, str]]) -> list[Finding]:
    found = [(doc[start:end], SPACY_LABELS[label]) for start, end, label in entities if label in SPACY_LABELS]
    spans = ((_bare(text, span.start_char, span.end_char), label) for span, label in found)
    return [
        Finding(start, end, label, SCORE)
        for (start, end), label in spans
        if start < end and _plausible(label, text[start:end])
    ]


def _plausible(label: str, found: str) -> bool:
    """Whether it can be what the engine says: names hold no signs of code, and "two months" says no date."""
    if label == "DATE_TIME":
        return bool(_DATE.search(found)) and not _DURATION.fullmatch(found)
    return not _CODE.search(found) and not (label == "LOCATION" and len(found) < 3)


def _bare(text: str, start: int, end: int) -> tuple[int, int]:
    """A name without the quote, bullet or bracket before it and the possessive after it."""
    found = _EDGES.match(text, start, end)
    return (found.start(1), found.end(1)) if found else (start, start)
