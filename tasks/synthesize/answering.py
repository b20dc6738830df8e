"""Answers to new instructions, in the voice of the conversations that they were written after."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from configs.settings import SynthesizeSettings
from tasks.inference.client import Client
from tasks.inference.engine import Request
from tasks.synthesize.method import (
    Draft,
    Dropped,
    Seed,
    Turn,
    assistant,
    request_seed,
    sampling,
    text_of,
    user,
)
from tasks.synthesize.rules import bad_answer, unusable, whole

SHOWN = 3  # conversations that an answer follows


@dataclass(frozen=True)
class Idea:
    """A new instruction.

    Args:
        instruction: what a user might ask.
        seeds: what it was written after; the first one's system message comes before it.
        details: what else there is to know about how it came about.
    """

    instruction: str
    seeds: tuple[Seed, ...]
    details: Mapping[str, Any] = field(default_factory=dict)


def answer_ideas(
    ideas: Sequence[Idea], settings: SynthesizeSettings, client: Client, seed: int
) -> Iterator[Draft | Dropped]:
    """Answer each idea, after the answers that its seeds got: a conversation, or why there is none."""
    requests = [Request(_prompt(idea), request_seed(seed, "answer", idea.instruction)) for idea in ideas]
    outcomes = map(whole, client.ask(requests, sampling(settings), "answers"))
    for idea, outcome in zip(ideas, outcomes, strict=True):
        text = text_of(outcome)
        if reason := unusable(outcome) or bad_answer(idea.instruction, text):
            yield Dropped(f"answer_{reason}", f"{idea.instruction}\n\n{text}")
        else:
            turns = (*idea.seeds[0].system, user(idea.instruction), assistant(text))
            yield Draft(turns, idea.seeds, details=idea.details)


def _prompt(idea: Idea) -> tuple[Turn, ...]:
    answered = [one for one in idea.seeds if one.answer][:SHOWN]
    turns = [turn for one in answered for turn in (user(one.instruction), assistant(one.answer))]
    return *idea.seeds[0].system, *turns, user(idea.instruction)
