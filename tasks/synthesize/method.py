"""What a method is: seeds in, drafts of conversations out, and every loss with its reason."""

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from configs.settings import SynthesizeSettings
from storage.snapshot import digest
from tasks.inference.client import Client
from tasks.inference.engine import Failure, Outcome, Sampling
from tasks.lm.reward import Head

Turn = Mapping[str, Any]
ROUND = 1024


@dataclass(frozen=True)
class Seed:
    """A curated conversation that new ones start from.

    Args:
        id: of the row.
        messages: its turns, in the canonical shape.
        language: ISO 639-1.
        domain: of its source.
        occurred_at: when it happened.
    """

    id: str
    messages: tuple[Turn, ...]
    language: str
    domain: str
    occurred_at: datetime | None = None

    @property
    def system(self) -> tuple[Turn, ...]:
        """Its system message, if it begins with one."""
        return self.messages[:1] if self.messages[0]["role"] == "system" else ()

    @property
    def instruction(self) -> str:
        """What the user asked first."""
        return next((str(turn["content"] or "") for turn in self.messages if turn["role"] == "user"), "")

    @property
    def answer(self) -> str:
        """What the assistant answered to that."""
        return next((str(turn["content"] or "") for turn in self.messages if turn["role"] == "assistant"), "")


@dataclass(frozen=True)
class Seeds:
    """What there is to start from: answered conversations of users, and documents; each sorted by id.

    `head` is the newest reward head, for methods that choose between answers.
    """

    conversations: Sequence[Seed]
    documents: Sequence[Seed]
    head: Head | None = None


@dataclass(frozen=True)
class Draft:
    """A new conversation.

    Args:
        messages: its turns.
        seeds: what it started from; domain and time come from the first.
        language: ISO 639-1, or None when it is that of the first seed.
        details: what else there is to know about how it came about.
    """

    messages: tuple[Turn, ...]
    seeds: tuple[Seed, ...]
    language: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """What is new in it, or may be: all but the system message."""
        return "\n".join(str(turn["content"]) for turn in self.messages if turn["role"] != "system")


@dataclass(frozen=True)
class Dropped:
    """A generated text that became no conversation, and why."""

    reason: str
    content: str


@dataclass(frozen=True)
class Losses:
    """What was lost on the way to drafts, by reason, where one of them takes several answers: a figure of the books."""

    counts: Counter[str]


class Method(Protocol):
    """A way to make conversations: a module in `tasks.synthesize.methods`, and a line in its `METHODS`."""

    def __call__(
        self, seeds: Seeds, count: int, settings: SynthesizeSettings, client: Client, seed: int
    ) -> Iterator[Draft | Dropped | Losses]:
        """Try for `count` conversations: for each of them either a draft or the reason why there is none.

        Args:
            seeds: what to start from; without seeds of the kind that it needs it makes nothing.
            count: how many to try for.
            settings: the method's knobs among them.
            client: what to ask models through.
            seed: all randomness follows from it.
        """
        ...


def rounds(count: int, size: int = ROUND) -> Iterator[range]:
    """Positions 0 to `count`, a round at a time: only so many requests are in memory at once."""
    for start in range(0, count, size):
        yield range(start, min(start + size, count))


def pick(seeds: Sequence[Seed], positions: range, seed: int, name: str) -> list[Seed]:
    """A seed for each position: all of them in the order of their hash, then all of them again."""
    order = sorted(seeds, key=lambda one: digest(str(seed), name, one.id)) if seeds else []
    return [order[position % len(order)] for position in positions] if order else []


def sampling(settings: SynthesizeSettings) -> Sampling:
    """How answers are sampled."""
    return Sampling(settings.max_new_tokens, settings.temperature, settings.top_p)


def generator(seed: int, *names: object) -> random.Random:
    """Random numbers of their own for every purpose."""
    return random.Random(digest(str(seed), *map(str, names)))


def request_seed(seed: int, *names: object) -> int:
    """The sampling seed of a request: 31 bits, as every API takes them."""
    return int(digest(str(seed), *map(str, names))[:8], 16) >> 1


def text_of(outcome: Outcome) -> str:
    """What was written; nothing when there is no answer."""
    return "" if isinstance(outcome, Failure) else outcome.text


def user(content: str) -> Turn:
    """A user's turn."""
    return {"role": "user", "content": content}


def assistant(content: str) -> Turn:
    """An assistant's turn."""
    return {"role": "assistant", "content": content}


def system(content: str) -> Turn:
    """A system message."""
    return {"role": "system", "content": content}
