"""Regenerated answers: real prompts, answered anew by a better model; distillation by data.

Source: Kim and Rush, "Sequence-Level Knowledge Distillation", 2016 (https://arxiv.org/abs/1606.07947). It is worth as
much as the model that answers is better: set synthesize.endpoints to one that is.
"""

from collections.abc import Iterator

from configs.settings import SynthesizeSettings
from tasks.inference.client import Client
from tasks.inference.engine import Request
from tasks.synthesize.method import (
    Draft,
    Dropped,
    Seeds,
    assistant,
    pick,
    request_seed,
    rounds,
    sampling,
    text_of,
)
from tasks.synthesize.rules import bad_answer, unusable, whole


def regenerate(
    seeds: Seeds, count: int, settings: SynthesizeSettings, client: Client, seed: int
) -> Iterator[Draft | Dropped]:
    """See `tasks.synthesize.method.Method`."""
    for positions in rounds(count):
        chosen = pick(seeds.conversations, positions, seed, "regenerate")
        requests = [
            Request(one.messages[:-1], request_seed(seed, "regenerate", position))
            for position, one in zip(positions, chosen, strict=False)
        ]
        outcomes = map(whole, client.ask(requests, sampling(settings), "better answers"))
        for one, outcome in zip(chosen, outcomes, strict=True):
            text, before = text_of(outcome), str(one.messages[-1]["content"])
            reason = unusable(outcome) or bad_answer(str(one.messages[-2]["content"]), text)
            if reason is None and text.strip() == before.strip():
                reason = "same"
            if reason:
                yield Dropped(f"answer_{reason}", text)
            else:
                yield Draft((*one.messages[:-1], assistant(text)), (one,))
