"""Name engines: who finds people, places and organisations in running text. One per language, pluggable."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Protocol

from tasks.scrub.chinese import chinese_name
from tasks.scrub.finding import Finding

SCORE = 0.5  # spaCy gives none; below that of patterns, which know what they found

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
LATIN = re.compile(r"[A-Za-z\u00c0-\u024f]")


class MissingEngineError(Exception):
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

        try:
            self._nlp = spacy.load(model, exclude=list(SPACY_UNUSED))
        except OSError as error:
            raise MissingEngineError(
                f"scrub: the spaCy model {model} is not installed: `pip install {model.replace('_', '-')}`."
            ) from error
        ops = NumpyOps(use_blis=False)  # NumPy's OpenBLAS multiplies 3 times faster than blis here
        for name in self._nlp.pipe_names:
            pipe: Any = self._nlp.get_pipe(name)
            for node in pipe.model.walk():
                node.ops = ops

    def find(self, texts: Sequence[str]) -> list[list[Finding]]:
        with self._nlp.memory_zone():  # else the vocabulary keeps every word it ever saw
            return [_spacy_findings(doc) for doc in self._nlp.pipe(texts, batch_size=256)]


class JiebaNames:
    """Chinese words by jieba (its Rust build, which carries the dictionary): the tags of names and places."""

    def __init__(self) -> None:
        try:
            import rjieba
        except ImportError as error:
            raise MissingEngineError("scrub: Chinese needs jieba: `pip install rjieba`.") from error
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


@lru_cache(maxsize=8)
def engine(name: str) -> NameEngine:
    """The engine of that name: "jieba", or the name of a spaCy model.

    Raises:
        MissingEngineError: it is not installed.
    """
    return JiebaNames() if name == "jieba" else SpacyNames(name)


def _spacy_findings(doc: Any) -> list[Finding]:
    return [
        Finding(span.start_char, span.end_char, SPACY_LABELS[span.label_], SCORE)
        for span in doc.ents
        if span.label_ in SPACY_LABELS
    ]
