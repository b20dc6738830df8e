"""What an engine is: requests in, completions or failures out."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from configs.mistake import Mistake
from tasks.lm.generate import Completion
from tasks.lm.template import Message, is_document


class EngineError(Mistake):
    """Nothing can be answered until a person mends it; the message says what and how."""


@dataclass(frozen=True)
class Request:
    """One thing to ask a model.

    Args:
        messages: a conversation that waits for an answer; or one message of the role document, whose text is continued
            as it stands, without a chat template.
        seed: of the sampling: two samples of one prompt differ in it.
        schema: JSON schema of the answer, as JSON text. Servers enforce it; in this process only prompts ask for it.
    """

    messages: tuple[Message, ...]
    seed: int
    schema: str | None = None

    @property
    def is_text(self) -> bool:
        """Whether a text is to be continued, rather than a conversation answered."""
        return is_document(self.messages)


@dataclass(frozen=True)
class Sampling:
    """How to sample: at most `max_new_tokens`; the likeliest ones at `temperature` 0, else from the nucleus `top_p`."""

    max_new_tokens: int
    temperature: float
    top_p: float


@dataclass(frozen=True)
class Failure:
    """A request that got no answer, after all retries."""

    reason: str


Outcome = Completion | Failure


class Engine(Protocol):
    """Something that answers requests.

    `model` names who answers. `identity` also says with which weights and template: equal requests to engines of equal
    identity need to be asked only once. `folder` is where the model lies, None when somebody else serves it.
    """

    @property
    def model(self) -> str: ...

    @property
    def identity(self) -> str: ...

    @property
    def folder(self) -> Path | None: ...

    def generate(self, requests: Iterable[Request], sampling: Sampling) -> Iterator[tuple[int, Outcome]]:
        """Answer all requests: the position of each and its outcome, as they finish.

        Requests are taken only as fast as they are answered, so there may be any number of them.

        Raises:
            EngineError: nothing can be answered.
        """
        ...
