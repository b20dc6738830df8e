"""Translations: what users of one language asked and liked, for users of another.

Source: Li et al., "Bactrian-X", 2023 (https://arxiv.org/abs/2305.15011). Every turn is translated by itself; a draft
counts only if it is in the language that was asked for, which `tasks.synthesize.rows` checks for all methods.
"""

from collections.abc import Iterator

from configs.settings import SynthesizeSettings
from configs.synthesis import LANGUAGES
from tasks.inference.client import Client
from tasks.inference.engine import Outcome, Request
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
from tasks.synthesize.rules import unusable

MAX_RATIO = 4.0  # of the lengths of a text and its translation

_TRANSLATE = "Translate the following text into {language}. Reply with the translation only.\n\n{text}"


def translate(
    seeds: Seeds, count: int, settings: SynthesizeSettings, client: Client, seed: int
) -> Iterator[Draft | Dropped]:
    """See `tasks.synthesize.method.Method`. Languages take turns."""
    languages = settings.translate_to
    for positions in rounds(count):
        chosen = list(zip(positions, pick(seeds.conversations, positions, seed, "translate"), strict=False))
        requests = [
            Request(
                (user(_TRANSLATE.format(language=LANGUAGES[_target(languages, position)], text=turn["content"])),),
                request_seed(seed, "translate", position, number),
            )
            for position, one in chosen
            for number, turn in enumerate(one.messages)
        ]
        outcomes = iter(client.ask(requests, sampling(settings), "translations"))
        for position, one in chosen:
            mine = [next(outcomes) for _ in one.messages]
            yield _translated(one, mine, _target(languages, position))


def _target(languages: tuple[str, ...], position: int) -> str:
    return languages[position % len(languages)]


def _translated(seed: Seed, outcomes: list[Outcome], language: str) -> Draft | Dropped:
    content = "\n\n".join(map(text_of, outcomes))
    if seed.language == language:
        return Dropped("language_is_the_same", content)
    if reason := next((found for outcome in outcomes if (found := unusable(outcome))), None):
        return Dropped(f"translation_{reason}", content)
    for turn, outcome in zip(seed.messages, outcomes, strict=True):
        short, long = sorted((len(str(turn["content"] or "")), len(text_of(outcome))))
        if long > MAX_RATIO * max(short, 1):
            return Dropped("translation_length", content)
    turns = tuple({**turn, "content": text_of(outcome)} for turn, outcome in zip(seed.messages, outcomes, strict=True))
    return Draft(turns, (seed,), language, {"translated_from": seed.language})
