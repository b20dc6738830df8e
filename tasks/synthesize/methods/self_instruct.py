"""Self-Instruct: the model writes new instructions after real ones, then answers them.

Source: Wang et al., "Self-Instruct", 2023 (https://arxiv.org/abs/2212.10560): 8 demonstrations, 2 of them generated
once there are some; an instruction is kept when its ROUGE-L with every other one is below max_rouge. A model of our own
continues a plain list of instructions, as there; an endpoint, which takes only chats, sees them as turns. Answers
follow real conversations of the same domain and language, so that they come in the voice of the product.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from configs.settings import SynthesizeSettings
from tasks.inference.client import Client
from tasks.inference.engine import Failure, Outcome, Request
from tasks.synthesize.answering import Idea, answer_ideas
from tasks.synthesize.method import (
    Draft,
    Dropped,
    Seed,
    Seeds,
    Turn,
    assistant,
    generator,
    request_seed,
    rounds,
    sampling,
    system,
    text_of,
    user,
)
from tasks.synthesize.novelty import Pool
from tasks.synthesize.rules import MAX_WORDS, MIN_WORDS, bad_instruction, unusable
from tasks.text.rouge import words

ROUND = 64  # instructions after which new ones are shown the ones before

_TASK = "You write messages that people send to an assistant. Every message asks for something else."
_NEXT = "Write a new message."
_LIST = "Messages that people sent to an assistant, every one asks for something else:\n\n"

Group = tuple[str, str]
"""Domain and language: what demonstrations of one request have in common."""


def self_instruct(
    seeds: Seeds, count: int, settings: SynthesizeSettings, client: Client, seed: int
) -> Iterator[Draft | Dropped]:
    """See `tasks.synthesize.method.Method`. Later rounds see what earlier ones wrote."""
    usable = [one for one in seeds.conversations if MIN_WORDS <= len(words(one.instruction)) <= MAX_WORDS]
    if not usable:
        return
    groups: dict[Group, list[Seed]] = {}
    for one in usable:
        groups.setdefault(_group(one), []).append(one)
    prompt = _as_chat if client.engine.folder is None else _as_list
    pool = Pool([one.instruction for one in usable], settings.max_rouge)
    written: dict[Group, list[str]] = {}
    for positions in rounds(count, ROUND):
        shown = [_demonstrations(usable, groups, written, settings, seed, position) for position in positions]
        requests = [
            Request(prompt(texts), request_seed(seed, "instruction", position))
            for position, (_, texts) in zip(positions, shown, strict=True)
        ]
        ideas: list[Idea] = []
        outcomes = client.ask(requests, sampling(settings), "instructions")
        if prompt is _as_list:
            outcomes = [_first_line(outcome) for outcome in outcomes]
        for (real, _), outcome in zip(shown, outcomes, strict=True):
            text = text_of(outcome)
            if reason := unusable(outcome) or bad_instruction(text) or (None if pool.add_if_new(text) else "not_new"):
                yield Dropped(f"instruction_{reason}", text)
            else:
                ideas.append(Idea(text, real))
        yield from answer_ideas(ideas, settings, client, seed)
        for idea in ideas:
            written.setdefault(_group(idea.seeds[0]), []).append(idea.instruction)


def _group(seed: Seed) -> Group:
    return seed.domain, seed.language


def _demonstrations(
    usable: Sequence[Seed],
    groups: Mapping[Group, Sequence[Seed]],
    written: Mapping[Group, Sequence[str]],
    settings: SynthesizeSettings,
    seed: int,
    position: int,
) -> tuple[tuple[Seed, ...], list[str]]:
    """The seeds to show for one request, and their instructions mixed with generated ones."""
    numbers = generator(seed, "demonstrations", position)
    group = _group(numbers.choice(usable))  # so that large groups get many
    mine = written.get(group, ())
    new = numbers.sample(mine, min(settings.generated_demonstrations, settings.demonstrations - 1, len(mine)))
    real = numbers.sample(groups[group], min(settings.demonstrations - len(new), len(groups[group])))
    texts = [one.instruction for one in real] + new
    numbers.shuffle(texts)
    return tuple(real), texts


def _as_chat(shown: Sequence[str]) -> tuple[Turn, ...]:
    turns = [turn for text in shown for turn in (user(_NEXT), assistant(text))]
    return system(_TASK), *turns, user(_NEXT)


def _as_list(shown: Sequence[str]) -> tuple[Turn, ...]:
    lines = [f"Message {number}: {' '.join(text.split())}\n" for number, text in enumerate(shown, 1)]
    return ({"role": "document", "content": f"{_LIST}{''.join(lines)}Message {len(shown) + 1}:"},)


def _first_line(outcome: Outcome) -> Outcome:
    """The first item that continues the list; what comes after it would be further ones."""
    if isinstance(outcome, Failure):
        return outcome
    line, end, _ = outcome.text.partition("\n")
    return replace(outcome, text=line.strip(), finished=outcome.finished or bool(end))
