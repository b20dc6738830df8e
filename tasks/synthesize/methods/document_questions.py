"""Questions about documents, with answers that stand in them.

Source: Alberti et al., "Synthetic QA Corpora Generation with Roundtrip Consistency", 2019
(https://arxiv.org/abs/1906.05416). Grounding is checked by words: most of the answer's must be the passage's.
"""

from collections import Counter
from collections.abc import Iterator

from pydantic import BaseModel

from configs.settings import SynthesizeSettings
from tasks.inference.client import Client
from tasks.inference.engine import Request
from tasks.inference.structured import parse, schema_of
from tasks.synthesize.method import (
    Draft,
    Dropped,
    Seeds,
    assistant,
    generator,
    pick,
    request_seed,
    rounds,
    sampling,
    text_of,
    user,
)
from tasks.synthesize.passages import passage
from tasks.synthesize.rules import bad_answer, bad_instruction, unusable
from tasks.text.rouge import words

_ASK = (
    "Write one question that a user might ask and that the text answers, and its answer from the text alone. "
    'Reply in JSON, like {{"question": "...", "answer": "..."}}.\n\nText:\n{text}'
)


class Question(BaseModel):
    """A question and its answer."""

    question: str
    answer: str


def document_questions(
    seeds: Seeds, count: int, settings: SynthesizeSettings, client: Client, seed: int
) -> Iterator[Draft | Dropped]:
    """See `tasks.synthesize.method.Method`."""
    for positions in rounds(count):
        found = []
        for position, one in zip(positions, pick(seeds.documents, positions, seed, "questions"), strict=False):
            if text := passage(one, generator(seed, "questions", position)):
                found.append((position, one, text))
            else:
                yield Dropped("document_too_short", "")
        requests = [
            Request((user(_ASK.format(text=text)),), request_seed(seed, "question", position), schema_of(Question))
            for position, _, text in found
        ]
        outcomes = client.ask(requests, sampling(settings), "questions about documents")
        for (_, one, text), outcome in zip(found, outcomes, strict=True):
            form = parse(Question, text_of(outcome))
            if form is None:
                yield Dropped(unusable(outcome) or "not_parsed", text_of(outcome))
            elif reason := _problem(form, text, settings.min_grounding):
                yield Dropped(reason, text_of(outcome))
            else:
                yield Draft((user(form.question), assistant(form.answer)), (one,), details={"passage": text})


def _problem(form: Question, text: str, min_grounding: float) -> str | None:
    if reason := bad_instruction(form.question):
        return f"instruction_{reason}"
    if reason := bad_answer(form.question, form.answer):
        return f"answer_{reason}"
    return None if grounding(form.answer, text) >= min_grounding else "answer_not_grounded"


def grounding(answer: str, text: str) -> float:
    """Share of the answer's words that the text has too, each as often as it is there: 0 to 1."""
    mine = Counter(words(answer))
    return (mine & Counter(words(text))).total() / max(mine.total(), 1)
