"""The spaCy name engine."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from tasks.scrub.finding import Finding
from tasks.scrub.names import SCORE, names

ZONE = 2_000_000  # characters between which the vocabulary is kept
BATCH = 256  # sentences of one pass through the network
LABELS = {
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
UNUSED = ("tagger", "parser", "senter", "lemmatizer", "attribute_ruler", "morphologizer")


class SpacyNames:
    """spaCy's entity recognizer, with the components it needs and no other."""

    def __init__(self, model: str) -> None:
        import spacy
        from thinc.api import NumpyOps

        from tasks.scrub.transitions import transitions

        self._nlp = spacy.load(model, exclude=list(UNUSED))
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
            return [_findings(text, doc, _entities(doc)) for text, doc in zip(texts, docs, strict=True)]
        docs = [self._nlp.make_doc(text) for text in texts]
        batches = (docs[start : start + BATCH] for start in range(0, len(docs), BATCH))
        spans = (span for batch in batches for span in self._fast.spans(batch))
        found = [_findings(*each) for each in zip(texts, docs, spans, strict=True)]
        self._characters += sum(map(len, texts))
        return found

    def _forget(self) -> None:
        """Now and then, all words: else the vocabulary keeps every one it ever saw; each time would cost a fifth."""
        if self._characters >= ZONE:
            self._zone.close()
            self._zone.enter_context(self._nlp.memory_zone())
            self._characters = 0


def _entities(doc: Any) -> list[tuple[int, int, str]]:
    return [(span.start, span.end, span.label_) for span in doc.ents]


def _findings(text: str, doc: Any, entities: Sequence[tuple[int, int, str]]) -> list[Finding]:
    spans = ((doc[start:end], LABELS[label]) for start, end, label in entities if label in LABELS)
    return names(text, (Finding(span.start_char, span.end_char, label, SCORE) for span, label in spans))
