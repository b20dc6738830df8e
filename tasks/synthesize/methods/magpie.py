"""Magpie: an instruction-tuned model, given only what its template puts before a user's turn, writes that turn.

Source: Xu et al., "Magpie", 2024 (https://arxiv.org/abs/2406.08464). The system message of a seed, if it has one,
steers what is asked about. It takes a model of our own, whose template is known: endpoints do not continue raw text.
"""

from collections.abc import Iterator
from typing import Any

from configs.settings import SynthesizeSettings
from tasks.inference.client import Client
from tasks.inference.engine import EngineError, Request
from tasks.lm.load import load_tokenizer
from tasks.lm.template import TemplateError, render
from tasks.synthesize.answering import Idea, answer_ideas
from tasks.synthesize.method import (
    Draft,
    Dropped,
    Seed,
    Seeds,
    pick,
    request_seed,
    rounds,
    sampling,
    text_of,
    user,
)
from tasks.synthesize.rules import bad_instruction, unusable

_MARK = "flywheel-user-turn"


def magpie(
    seeds: Seeds, count: int, settings: SynthesizeSettings, client: Client, seed: int
) -> Iterator[Draft | Dropped]:
    """See `tasks.synthesize.method.Method`.

    Raises:
        EngineError: an endpoint answers, whose template is not known.
    """
    if client.engine.folder is None:
        raise EngineError("Magpie takes an engine that knows the chat template of its model.")
    tokenizer = load_tokenizer(client.engine.folder)
    for positions in rounds(count):
        chosen = pick(seeds.conversations, positions, seed, "magpie")
        requests = [
            Request(({"role": "document", "content": _prefix(tokenizer, one)},), request_seed(seed, "magpie", position))
            for position, one in zip(positions, chosen, strict=False)
        ]
        ideas: list[Idea] = []
        outcomes = client.ask(requests, sampling(settings), "dreamt instructions")
        for one, outcome in zip(chosen, outcomes, strict=True):
            text = text_of(outcome)
            if reason := unusable(outcome) or bad_instruction(text):
                yield Dropped(f"instruction_{reason}", text)
            else:
                ideas.append(Idea(text, (one,)))
        yield from answer_ideas(ideas, settings, client, seed)


def _prefix(tokenizer: Any, seed: Seed) -> str:
    """What the template writes before a user's turn."""
    text = render(tokenizer, [*seed.system, user(_MARK)])
    if _MARK not in text:
        raise TemplateError(f"The chat template of {tokenizer.name_or_path} changes what users say; no Magpie.")
    return text[: text.index(_MARK)]
