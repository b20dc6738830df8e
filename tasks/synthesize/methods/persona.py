"""Persona-driven instructions: who might have written a real message, and what would they ask next?

Source: Ge et al., "Scaling Synthetic Data Creation with 1,000,000,000 Personas", 2024 (https://arxiv.org/abs/2406.20094),
text-to-persona and then persona-to-instruction.
"""

from collections.abc import Iterator

from configs.settings import SynthesizeSettings
from tasks.inference.client import Client
from tasks.inference.engine import Request
from tasks.synthesize.answering import Idea, answer_ideas
from tasks.synthesize.method import (
    Draft,
    Dropped,
    Seeds,
    pick,
    request_seed,
    rounds,
    sampling,
    text_of,
    user,
)
from tasks.synthesize.rules import bad_instruction, unusable, whole

_WHO = "Who is likely to write this message? Describe that person in one short sentence.\n\nMessage: {message}"
_ASK = (
    "This person uses the same product as the writer of the example: {persona}\n\nExample: {message}\n\n"
    "Write one short message that this person would send to the assistant, about something else. "
    "Reply with the message only."
)


def persona(
    seeds: Seeds, count: int, settings: SynthesizeSettings, client: Client, seed: int
) -> Iterator[Draft | Dropped]:
    """See `tasks.synthesize.method.Method`."""
    for positions in rounds(count):
        chosen = pick(seeds.conversations, positions, seed, "persona")
        who = [
            Request((user(_WHO.format(message=one.instruction)),), request_seed(seed, "persona", position))
            for position, one in zip(positions, chosen, strict=False)
        ]
        people = []
        described = map(whole, client.ask(who, sampling(settings), "personas"))
        for one, outcome in zip(chosen, described, strict=True):
            if reason := unusable(outcome):
                yield Dropped(f"persona_{reason}", text_of(outcome))
            else:
                people.append((one, text_of(outcome)))
        asking = [
            Request(
                (user(_ASK.format(persona=person, message=one.instruction)),),
                request_seed(seed, "asking", one.id, person),
            )
            for one, person in people
        ]
        ideas: list[Idea] = []
        outcomes = client.ask(asking, sampling(settings), "instructions of personas")
        for (one, person), outcome in zip(people, outcomes, strict=True):
            text = text_of(outcome)
            if reason := unusable(outcome) or bad_instruction(text):
                yield Dropped(f"instruction_{reason}", text)
            else:
                ideas.append(Idea(text, (one,), {"persona": person}))
        yield from answer_ideas(ideas, settings, client, seed)
