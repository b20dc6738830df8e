"""What a method is: seeds in, drafts of conversations out, and every loss with its reason."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from configs.settings import SynthesizeSettings
from storage.snapshot import digest
from tasks.synthesize.client import Client
from tasks.synthesize.engine import Sampling

Turn = Mapping[str, Any]


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
class Draft:
    """A new conversation.

    Args:
        messages: its turns.
        seeds: what it started from; language, domain and time come from the first.
        details: what else there is to know about how it came about.
    """

    messages: tuple[Turn, ...]
    seeds: tuple[Seed, ...]
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Dropped:
    """A generated text that became no conversation, and why."""

    reason: str
    content: str


class Method(Protocol):
    """A way to make conversations: one module in `tasks.synthesize.methods`, one line in its `METHODS`."""

    def __call__(
        self, seeds: Sequence[Seed], settings: SynthesizeSettings, client: Client, seed: int
    ) -> Iterator[Draft | Dropped]:
        """Make as many as the settings say: for each of them either a draft or the reason why there is none.

        Args:
            seeds: what to start from, sorted by id; at least one.
            settings: the method's knobs among them.
            client: what to ask models through.
            seed: all randomness follows from it.
        """
        ...


def sampling(settings: SynthesizeSettings) -> Sampling:
    """How answers are sampled."""
    return Sampling(settings.max_new_tokens, settings.temperature, settings.top_p)


def generator(seed: int, *names: object) -> random.Random:
    """Random numbers of their own for every purpose."""
    return random.Random(digest(str(seed), *map(str, names)))


def request_seed(seed: int, *names: object) -> int:
    """The sampling seed of a request: 31 bits, as every API takes them."""
    return int(digest(str(seed), *map(str, names))[:8], 16) >> 1


def user(content: str) -> Turn:
    """A user's turn."""
    return {"role": "user", "content": content}


def assistant(content: str) -> Turn:
    """An assistant's turn."""
    return {"role": "assistant", "content": content}


def system(content: str) -> Turn:
    """A system message."""
    return {"role": "system", "content": content}
