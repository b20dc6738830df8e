"""Answers step by step, kept only where the result is that of the answer we have.

Source: Zelikman et al., "STaR", 2022 (https://arxiv.org/abs/2203.14465) and Yuan et al., on rejection sampling, 2023
(https://arxiv.org/abs/2308.01825). Seeds are conversations whose answer names its result: "#### 42" as in GSM8K,
\\boxed{42}, or "the answer is 42".
"""

import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation

from configs.settings import SynthesizeSettings
from tasks.inference.client import Client
from tasks.inference.engine import Request
from tasks.synthesize.method import (
    Draft,
    Dropped,
    Seeds,
    Turn,
    assistant,
    pick,
    request_seed,
    rounds,
    sampling,
    text_of,
    user,
)
from tasks.synthesize.rules import unusable

_RESULT = re.compile(
    r"####\s*(?P<mark>[^\n]+)|\\boxed\{(?P<box>[^{}]+)\}|\banswer is:?\s*(?P<said>[^\n]+?)\.?\s*$",
    re.IGNORECASE | re.MULTILINE,
)
_HOW = "\n\nThink step by step, and end with: The answer is"


def checked(
    seeds: Seeds, count: int, settings: SynthesizeSettings, client: Client, seed: int
) -> Iterator[Draft | Dropped]:
    """See `tasks.synthesize.method.Method`."""
    known = [one for one in seeds.conversations if result_of(str(one.messages[-1]["content"])) is not None]
    for positions in rounds(count):
        chosen = pick(known, positions, seed, "checked")
        requests = [
            Request(_prompt(one.messages[:-1]), request_seed(seed, "checked", position))
            for position, one in zip(positions, chosen, strict=False)
        ]
        outcomes = client.ask(requests, sampling(settings), "answers to check")
        for one, outcome in zip(chosen, outcomes, strict=True):
            text, wanted = text_of(outcome), result_of(str(one.messages[-1]["content"]))
            if reason := unusable(outcome):
                yield Dropped(f"answer_{reason}", text)
            elif result_of(text) != wanted:
                yield Dropped("answer_wrong" if result_of(text) else "answer_without_result", text)
            else:
                yield Draft((*one.messages[:-1], assistant(text)), (one,), details={"result": wanted})


def result_of(answer: str) -> str | None:
    """The result that an answer names last, in one form for equal numbers; None when it names none."""
    found = [match for match in _RESULT.finditer(answer) if match.lastgroup]
    if not found:
        return None
    text = str(found[-1].group(str(found[-1].lastgroup))).strip().strip("$*. ")
    try:
        return format(Decimal(text.replace(",", "")).normalize(), "f")
    except InvalidOperation:
        return text.casefold() or None


def _prompt(messages: tuple[Turn, ...]) -> tuple[Turn, ...]:
    return *messages[:-1], user(str(messages[-1]["content"]) + _HOW)
