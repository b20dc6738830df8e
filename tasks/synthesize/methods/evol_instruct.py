"""Evol-Instruct: a real instruction, made harder in one of five ways, or turned into a rarer one of the same domain.

Source: Xu et al., "WizardLM", 2023 (https://arxiv.org/abs/2304.12244), with its elimination rules, which most other
implementations leave out: no gain over the original (there a model judges it, here ROUGE-L does), an answer that is
sorry, and words of the evolving prompt in the result. The rule on empty answers is `tasks.synthesize.rules`.
"""

import re
from collections.abc import Iterator

from configs.settings import SynthesizeSettings
from tasks.inference.client import Client
from tasks.inference.engine import Outcome, Request
from tasks.synthesize.answering import Idea, answer_ideas
from tasks.synthesize.method import (
    Draft,
    Dropped,
    Seeds,
    Turn,
    generator,
    pick,
    request_seed,
    rounds,
    sampling,
    text_of,
    user,
)
from tasks.synthesize.rules import bad_instruction, unusable
from tasks.text.rouge import rouge_l, words

SORRY_WORDS = 80  # an answer with "sorry" that is shorter is a refusal

DEEPENING = {
    "constraints": "adding one more constraint or requirement",
    "deepening": "making its question deeper and broader",
    "concretizing": "replacing its general ideas by more specific ones",
    "reasoning": "asking explicitly for several steps of reasoning",
    "input": "adding a piece of data that it has to deal with: a table, code or a formula",
}
_DEEPER = (
    "Rewrite the given prompt into a more difficult version by {how}. It must stay reasonable and something that a "
    "person can answer. Add 10 to 20 words at most. Reply with the rewritten prompt only.\n\nGiven prompt:\n{prompt}"
)
_BROADER = (
    "Write a brand new prompt, inspired by the given prompt. It belongs to the same domain but is rarer, and about as "
    "long and as difficult. Reply with the new prompt only.\n\nGiven prompt:\n{prompt}"
)
_COPIED = re.compile(r"\b(?:given|rewritten|new|created) prompt\b", re.IGNORECASE)


def evol_instruct(
    seeds: Seeds, count: int, settings: SynthesizeSettings, client: Client, seed: int
) -> Iterator[Draft | Dropped]:
    """See `tasks.synthesize.method.Method`."""
    for positions in rounds(count):
        chosen = pick(seeds.conversations, positions, seed, "evol_instruct")
        ways = [generator(seed, "evolution", position).choice(settings.evolutions) for position in positions]
        requests = [
            Request(_prompt(way, one.instruction), request_seed(seed, "evolve", position))
            for position, way, one in zip(positions, ways, chosen, strict=False)
        ]
        ideas: list[Idea] = []
        outcomes = client.ask(requests, sampling(settings), "evolved instructions")
        for one, way, outcome in zip(chosen, ways, outcomes, strict=False):
            if reason := _eliminated(one.instruction, outcome, settings.max_rouge):
                yield Dropped(f"instruction_{reason}", text_of(outcome))
            else:
                ideas.append(Idea(text_of(outcome), (one,), {"evolution": way}))
        for result in answer_ideas(ideas, settings, client, seed):
            sorry = isinstance(result, Draft) and _sorry(str(result.messages[-1]["content"]))
            yield Dropped("answer_sorry", result.text) if isinstance(result, Draft) and sorry else result


def _prompt(way: str, instruction: str) -> tuple[Turn, ...]:
    if way == "breadth":
        return (user(_BROADER.format(prompt=instruction)),)
    return (user(_DEEPER.format(how=DEEPENING[way], prompt=instruction)),)


def _eliminated(original: str, outcome: Outcome, max_rouge: float) -> str | None:
    text = text_of(outcome)
    if reason := unusable(outcome) or bad_instruction(text):
        return reason
    if _COPIED.search(text):
        return "copies_prompt"
    return "no_gain" if rouge_l(words(original), words(text)) >= max_rouge else None


def _sorry(answer: str) -> bool:
    return "sorry" in answer.lower() and len(words(answer)) < SORRY_WORDS
