"""Longer conversations: what the user might ask next, and the answer to it.

Source: Ding et al., "UltraChat", 2023 (https://arxiv.org/abs/2305.14233), and Xu et al., "Baize", 2023
(https://arxiv.org/abs/2304.01196): a model plays the user, given the conversation so far.
"""

from collections.abc import Iterator

from configs.settings import SynthesizeSettings
from tasks.inference.client import Client
from tasks.inference.engine import Request
from tasks.synthesize.method import (
    Draft,
    Dropped,
    Seed,
    Seeds,
    Turn,
    assistant,
    pick,
    request_seed,
    rounds,
    sampling,
    system,
    text_of,
    user,
)
from tasks.synthesize.rules import bad_answer, bad_instruction, unusable, whole
from tasks.text.rouge import rouge_l, words

_PLAY = "You play a user who talks to an assistant. Write what the user says next. Reply with that message only."


def extend(
    seeds: Seeds, count: int, settings: SynthesizeSettings, client: Client, seed: int
) -> Iterator[Draft | Dropped]:
    """See `tasks.synthesize.method.Method`."""
    for positions in rounds(count):
        chosen = pick(seeds.conversations, positions, seed, "extend")
        playing = [
            Request(_swapped(one), request_seed(seed, "follow-up", position))
            for position, one in zip(positions, chosen, strict=False)
        ]
        longer: list[tuple[Seed, tuple[Turn, ...]]] = []
        for one, outcome in zip(chosen, client.ask(playing, sampling(settings), "follow-ups"), strict=True):
            text = text_of(outcome)
            if reason := unusable(outcome) or bad_instruction(text) or _repeats(one, text, settings.max_rouge):
                yield Dropped(f"instruction_{reason}", text)
            else:
                longer.append((one, (*one.messages, user(text))))
        answering = [
            Request(turns, request_seed(seed, "extend", one.id, str(turns[-1]["content"]))) for one, turns in longer
        ]
        outcomes = map(whole, client.ask(answering, sampling(settings), "answers to follow-ups"))
        for (one, turns), outcome in zip(longer, outcomes, strict=True):
            text, asked = text_of(outcome), str(turns[-1]["content"])
            if reason := unusable(outcome) or bad_answer(asked, text):
                yield Dropped(f"answer_{reason}", f"{asked}\n\n{text}")
            else:
                yield Draft((*turns, assistant(text)), (one,))


def _swapped(seed: Seed) -> tuple[Turn, ...]:
    """The conversation as the model that plays the user sees it: with the roles the other way round."""
    turns = [turn for turn in seed.messages if turn["role"] in {"user", "assistant"}]
    other = {"user": assistant, "assistant": user}
    return system(_PLAY), user("Hello!"), *(other[turn["role"]](str(turn["content"] or "")) for turn in turns)


def _repeats(seed: Seed, text: str, max_rouge: float) -> str | None:
    mine = words(text)
    before = [words(str(turn["content"] or "")) for turn in seed.messages if turn["role"] == "user"]
    return "not_new" if any(rouge_l(mine, one) >= max_rouge for one in before) else None
