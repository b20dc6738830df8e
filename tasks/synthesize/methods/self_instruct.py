"""Self-Instruct: the model writes new instructions after real ones, then answers them.

Source: Wang et al., "Self-Instruct", 2023 (https://arxiv.org/abs/2212.10560): 8 demonstrations, 2 of them generated
once there are some; an instruction is kept when its ROUGE-L with every other one is below 0.7. Unlike there, the
demonstrations are turns of a chat, which also small instruction-tuned models continue, and answers follow real
conversations of the same domain and language, so that they come in the voice of the product.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from configs.settings import SynthesizeSettings
from tasks.synthesize.client import Client
from tasks.synthesize.engine import Failure, Outcome, Request
from tasks.synthesize.method import (
    Draft,
    Dropped,
    Seed,
    assistant,
    generator,
    request_seed,
    sampling,
    system,
    user,
)
from tasks.synthesize.novelty import Pool, words
from tasks.synthesize.rules import MAX_WORDS, MIN_WORDS, bad_answer, bad_instruction, unusable

DEMONSTRATIONS = 8
GENERATED = 2  # of the demonstrations
ANSWERED = 3  # conversations that an answer follows
THRESHOLD = 0.7  # ROUGE-L
ROUND = 64  # instructions at a time; later rounds see what earlier ones wrote

_TASK = "You write messages that people send to an assistant. Every message asks for something else."
_NEXT = "Write a new message."

Group = tuple[str, str]
"""Domain and language: what demonstrations of one request have in common."""


@dataclass(frozen=True)
class Idea:
    """A new instruction, and the seeds that it was written after."""

    instruction: str
    seeds: tuple[Seed, ...]


def self_instruct(
    seeds: Sequence[Seed], settings: SynthesizeSettings, client: Client, seed: int
) -> Iterator[Draft | Dropped]:
    """`settings.instructions` tries at a new conversation each; see `tasks.synthesize.method.Method`."""
    usable = [one for one in seeds if MIN_WORDS <= len(words(one.instruction)) <= MAX_WORDS]
    if not usable:
        return
    groups: dict[Group, list[Seed]] = {}
    for one in usable:
        groups.setdefault(_group(one), []).append(one)
    pool = Pool([one.instruction for one in usable], THRESHOLD)
    ideas: dict[Group, list[Idea]] = {}
    for start in range(0, settings.instructions, ROUND):
        positions = range(start, min(start + ROUND, settings.instructions))
        found: list[Idea] = []
        for result in _instructions(positions, usable, groups, ideas, pool, settings, client, seed):
            if isinstance(result, Dropped):
                yield result
            else:
                found.append(result)
        yield from _answers(found, settings, client, seed)
        for idea in found:
            ideas.setdefault(_group(idea.seeds[0]), []).append(idea)


def _group(seed: Seed) -> Group:
    return seed.domain, seed.language


def _instructions(
    positions: range,
    usable: Sequence[Seed],
    groups: Mapping[Group, Sequence[Seed]],
    ideas: Mapping[Group, Sequence[Idea]],
    pool: Pool,
    settings: SynthesizeSettings,
    client: Client,
    seed: int,
) -> Iterator[Idea | Dropped]:
    """Ask for one instruction for each position, and keep those that are sound and new."""
    chosen, requests = [], []
    for position in positions:
        numbers = generator(seed, "demonstrations", position)
        group = _group(numbers.choice(usable))  # so that large groups get many
        written = ideas.get(group, ())
        new = numbers.sample(written, min(GENERATED, len(written)))
        real = numbers.sample(groups[group], min(DEMONSTRATIONS - len(new), len(groups[group])))
        shown = [one.instruction for one in real] + [idea.instruction for idea in new]
        numbers.shuffle(shown)
        chosen.append(tuple(real))
        requests.append(Request(_instruction_prompt(shown), request_seed(seed, "instruction", position)))
    for after, outcome in zip(chosen, client.ask(requests, sampling(settings), "instructions"), strict=True):
        text = _text(outcome)
        reason = unusable(outcome) or bad_instruction(text)
        if reason is None and not pool.add_if_new(text):
            reason = "not_new"
        yield Dropped(f"instruction_{reason}", text) if reason else Idea(text, after)


def _instruction_prompt(shown: Sequence[str]) -> tuple[Mapping[str, str], ...]:
    turns = [turn for text in shown for turn in (user(_NEXT), assistant(text))]
    return system(_TASK), *turns, user(_NEXT)


def _answers(
    ideas: Sequence[Idea], settings: SynthesizeSettings, client: Client, seed: int
) -> Iterator[Draft | Dropped]:
    """Answer each instruction after the answers that its seeds got."""
    requests = [Request(_answer_prompt(idea), request_seed(seed, "answer", idea.instruction)) for idea in ideas]
    for idea, outcome in zip(ideas, client.ask(requests, sampling(settings), "answers"), strict=True):
        text = _text(outcome)
        if reason := unusable(outcome) or bad_answer(idea.instruction, text):
            yield Dropped(f"answer_{reason}", f"{idea.instruction}\n\n{text}")
        else:
            turns = (*idea.seeds[0].system, user(idea.instruction), assistant(text))
            yield Draft(turns, idea.seeds)


def _answer_prompt(idea: Idea) -> tuple[Mapping[str, str], ...]:
    answered = [one for one in idea.seeds if one.answer][:ANSWERED]
    turns = [turn for one in answered for turn in (user(one.instruction), assistant(one.answer))]
    return *idea.seeds[0].system, *turns, user(idea.instruction)


def _text(outcome: Outcome) -> str:
    return "" if isinstance(outcome, Failure) else outcome.text
