"""Name engines on PyTorch: token classifiers of transformers, and GLiNER, which is told in words what to look for."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from configs.mistake import Mistake
from tasks.scrub.finding import Finding
from tasks.scrub.names import SCORE, names

BATCH = 32  # sentences of one pass
LABELS = {
    **dict.fromkeys(("PER", "PERSON", "NAME", "FIRSTNAME", "MIDDLENAME", "LASTNAME"), "PERSON"),
    **dict.fromkeys(("GIVENNAME", "SURNAME", "USERNAME", "PATIENT", "DOCTOR"), "PERSON"),
    **dict.fromkeys(("LOC", "LOCATION", "GPE", "CITY", "STATE", "COUNTY"), "LOCATION"),
    **dict.fromkeys(("ADDRESS", "STREET", "STREETADDRESS"), "ADDRESS"),
    **dict.fromkeys(("ORG", "ORGANIZATION", "COMPANY", "COMPANYNAME"), "ORGANIZATION"),
}
"""What models call our entity types, in capitals and without anything but letters."""
ASKED = ("person", "location", "organization")
"""What GLiNER is asked for; organizations too, so that they are not taken for people."""
SPACED = "\u0e00"  # scripts before Thai's put spaces between words


class TokenClassifierNames:
    """A token classifier of the transformers library; longer sentences are read in overlapping parts.

    Args:
        model: folder of one, or its name on the hub.
        threshold: least probability of a name.

    Raises:
        OSError: there is none.
        Mistake: it looks for nothing that has to do with names.
    """

    def __init__(self, model: str, threshold: float) -> None:
        from transformers import AutoTokenizer, pipeline

        tokenizer: Any = AutoTokenizer.from_pretrained(model)
        if not tokenizer.is_fast or tokenizer.model_max_length > 1_000_000:
            raise Mistake(
                f"scrub.engines: the tokenizer of {model} does not say where its tokens stand or how many fit; "
                "choose a model with a fast tokenizer that has a model_max_length."
            )
        self._find: Any = pipeline(
            "token-classification",
            model=model,
            tokenizer=tokenizer,
            aggregation_strategy="simple",
            stride=tokenizer.model_max_length // 4,
        )
        labels = list((self._find.model.config.id2label or {}).values())
        if not any(map(_entity, labels)):
            raise Mistake(
                f"scrub.engines: {model} finds {', '.join(labels[:8])}, of which none is a person or a place; "
                "choose a model for names."
            )
        self._threshold = threshold

    def find(self, texts: Sequence[str]) -> list[list[Finding]]:
        answers = self._find(list(texts), batch_size=BATCH) if texts else []
        return [
            _findings(text, found, "entity_group", self._threshold) for text, found in zip(texts, answers, strict=True)
        ]


class GlinerNames:
    """GLiNER (Zaratiana et al. 2023); longer sentences are read in parts, as the library cuts them off.

    Args:
        model: folder of one, or its name on the hub.
        threshold: least probability of a name.

    Raises:
        OSError: there is none.
    """

    def __init__(self, model: str, threshold: float) -> None:
        from gliner import GLiNER

        self._model: Any = GLiNER.from_pretrained(model)
        self._threshold = threshold

    def find(self, texts: Sequence[str]) -> list[list[Finding]]:
        parts = [(index, start, part) for index, text in enumerate(texts) for start, part in self._parts(text)]
        if not parts:
            return [[] for _ in texts]
        asked = [part for _, _, part in parts]
        answers = self._model.inference(asked, list(ASKED), threshold=self._threshold, batch_size=BATCH)
        found: list[list[Finding]] = [[] for _ in texts]
        for (index, start, part), answer in zip(parts, answers, strict=True):
            found[index] += [f.moved(start) for f in _findings(part, answer, "label", self._threshold)]
        return found

    def _parts(self, text: str) -> Iterator[tuple[int, str]]:
        """Stretches of at most as many words as the model reads, and where each begins."""
        words = [(start, end) for _, start, end in self._model.data_processor.words_splitter(text)]
        most = self._model.config.max_len
        for first in range(0, len(words), most):
            start, end = words[first][0], words[min(first + most, len(words)) - 1][1]
            yield start, text[start:end]


def _findings(text: str, answer: Sequence[Any], label: str, threshold: float) -> list[Finding]:
    found = ((each, _entity(each[label])) for each in answer if each["score"] >= threshold)
    known = ((_whole(text, each["start"], each["end"]), type_) for each, type_ in found if type_)
    return names(text, (Finding(*span, type_, SCORE) for span, type_ in known))


def _entity(label: str) -> str | None:
    """Our name for a label: `B-PER`, `person` and `I-GIVEN_NAME` are all PERSON."""
    return LABELS.get(re.sub(r"[^A-Z]", "", re.sub(r"^[BIELSU]-", "", label.upper())))


def _whole(text: str, start: int, end: int) -> tuple[int, int]:
    """The words that a span stands in: of a word in several tokens, a model may see the first one only."""

    def joined(at: int) -> bool:
        return 0 < at < len(text) and all(c.isalnum() and c < SPACED for c in text[at - 1 : at + 1])

    while joined(start):
        start -= 1
    while joined(end):
        end += 1
    return start, end
