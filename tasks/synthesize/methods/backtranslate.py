"""Instruction back-translation: the instruction that a document answers, kept where the model finds that the two fit.

Source: Li et al., "Self-Alignment with Instruction Backtranslation", 2023 (https://arxiv.org/abs/2308.06259): the
answer is what a person wrote; the model writes the instruction and then, as self-curation, rates the pair from 1 to 5.
"""

from collections.abc import Iterator

from pydantic import BaseModel, Field

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
from tasks.synthesize.rules import bad_instruction, unusable

_WRITE = (
    "Write the question or request that the following text answers best. Reply with that question or request only."
    "\n\nText:\n{text}"
)
_RATE = (
    "How well does the answer fit the request? 1: off topic or incomplete. 3: helpful, but not written as an answer. "
    '5: a perfect answer by an expert. Reply in JSON, like {{"score": 3}}.\n\nRequest: {request}\n\nAnswer: {text}'
)


class Rating(BaseModel):
    """How well an answer fits its request."""

    score: int = Field(ge=1, le=5)


def backtranslate(
    seeds: Seeds, count: int, settings: SynthesizeSettings, client: Client, seed: int
) -> Iterator[Draft | Dropped]:
    """See `tasks.synthesize.method.Method`."""
    for positions in rounds(count):
        found = []
        for position, one in zip(positions, pick(seeds.documents, positions, seed, "backtranslate"), strict=False):
            if text := passage(one, generator(seed, "backtranslate", position)):
                found.append((position, one, text))
            else:
                yield Dropped("document_too_short", "")
        writing = [
            Request((user(_WRITE.format(text=text)),), request_seed(seed, "backtranslate", position))
            for position, one, text in found
        ]
        asked = []
        outcomes = client.ask(writing, sampling(settings), "instructions of documents")
        for (_, one, text), outcome in zip(found, outcomes, strict=True):
            request = text_of(outcome)
            if reason := unusable(outcome) or bad_instruction(request):
                yield Dropped(f"instruction_{reason}", request)
            else:
                asked.append((one, text, request))
        rating = [
            Request(
                (user(_RATE.format(request=request, text=text)),),
                request_seed(seed, "rating", one.id, request),
                schema_of(Rating),
            )
            for one, text, request in asked
        ]
        outcomes = client.ask(rating, sampling(settings), "ratings")
        for (one, text, request), outcome in zip(asked, outcomes, strict=True):
            rated = parse(Rating, text_of(outcome))
            if rated is None:
                yield Dropped("rating_not_parsed", text_of(outcome))
            elif rated.score < settings.min_rating:
                yield Dropped("rated_low", f"{rated.score}: {request}\n\n{text}")
            else:
                yield Draft((user(request), assistant(text)), (one,), details={"score": rated.score})
