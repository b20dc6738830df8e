"""What steps ask through: an engine with a journal, and a count of what was asked."""

import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from configs.inference import InferenceSettings
from storage.lake import Lake
from storage.progress import progress
from storage.snapshot import digest
from tasks.inference.engine import Engine, Failure, Outcome, Request, Sampling
from tasks.inference.engines import open_engine
from tasks.inference.journal import Journal, open_journal
from tasks.lm.generate import Completion
from tasks.lm.template import clean_messages

log = logging.getLogger(__name__)


@dataclass
class Usage:
    """What was asked: requests sent, found in the journal, sent but not answered, not sent at all; what that cost.

    Tokens are those written, and money is in the currency of the prices.
    """

    sent: int = 0
    reused: int = 0
    failed: int = 0
    unsent: int = 0
    tokens: int = 0
    money: float = 0


@dataclass(frozen=True)
class Budget:
    """What a step may spend; None is no limit.

    Args:
        requests: sent.
        tokens: written.
        money: for tokens read and written, at these prices.
        price_read: of a million tokens read.
        price_written: of a million tokens written.
    """

    requests: int | None = None
    tokens: int | None = None
    money: float | None = None
    price_read: float = 0
    price_written: float = 0

    def cost(self, completion: Completion) -> float:
        """What a completion costs."""
        return (completion.prompt_tokens * self.price_read + completion.tokens * self.price_written) / 1e6

    def allows(self, begun: int, usage: Usage) -> bool:
        """Whether another request may be sent after `begun` ones."""
        spent = ((self.requests, begun), (self.tokens, usage.tokens), (self.money, usage.money))
        return all(limit is None or value < limit for limit, value in spent)


@dataclass(frozen=True)
class Client:
    """Asks an engine for what the journal does not have yet, within a budget; `step` is what the log calls it."""

    engine: Engine
    journal: Journal
    budget: Budget = Budget()
    usage: Usage = field(default_factory=Usage)
    step: str = "synthesize"

    def ask(self, requests: Sequence[Request], sampling: Sampling, label: str) -> list[Outcome]:
        """The outcome of each request, in their order. Completions are journaled one by one as they finish.

        When the budget is spent, no more is sent: the rest are failures. Tokens and money count when they are spent, so
        what is in flight then still comes on top.

        Args:
            requests: what to ask.
            sampling: how to sample.
            label: what the progress line says.

        Raises:
            EngineError: nothing can be answered.
        """
        keys = [_key(self.engine.identity, request, sampling) for request in requests]
        outcomes: dict[str, Outcome] = dict(self.journal.find(keys))
        missing = {key: request for key, request in zip(keys, requests, strict=True) if key not in outcomes}
        self.usage.reused += len(requests) - len(missing)
        if missing:
            order = list(missing)
            answers = self.engine.generate(self._affordable(missing.values()), sampling)
            for position, outcome in progress(answers, len(order), f"{self.step}: {label}", "requests"):
                self._note(order[position], outcome)
                outcomes[order[position]] = outcome
        over = Failure("the budget is spent")
        if unsent := sum(key not in outcomes for key in missing):
            self.usage.unsent += unsent
            log.warning("%s: the budget is spent: %s requests were not sent", self.step, f"{unsent:,}")
        return [outcomes.get(key, over) for key in keys]

    def _affordable(self, requests: Iterable[Request]) -> Iterator[Request]:
        begun = self.usage.sent
        for request in requests:
            if not self.budget.allows(begun, self.usage):
                return
            begun += 1
            yield request

    def _note(self, key: str, outcome: Outcome) -> None:
        self.usage.sent += 1
        if isinstance(outcome, Completion):
            self.journal.add(key, outcome)
            self.usage.tokens += outcome.tokens
            self.usage.money += self.budget.cost(outcome)
        else:
            self.usage.failed += 1
            log.warning("%s: a request was given up: %s", self.step, outcome.reason)


@contextmanager
def open_client(
    lake: Lake,
    settings: InferenceSettings,
    model: str,
    *,
    on_policy: bool = False,
    step: str = "synthesize",
    usage: Usage | None = None,
) -> Iterator[Client]:
    """What to ask through, with the lake's journal; whatever it started is ended with the block.

    Args:
        lake: whose finished requests are not asked again.
        settings: which engine, and what may be spent.
        model: folder or name of the model, for engines of our own.
        on_policy: the answers must be this very model's: see `tasks.inference.engines.open_engine`.
        step: what the log calls it.
        usage: of the step so far, where it opens a second client: the budget is the step's.
    """
    budget = Budget(
        settings.budget_requests,
        settings.budget_tokens,
        settings.budget_money,
        settings.price_read,
        settings.price_written,
    )
    with (
        open_journal(lake.folder("work", "requests")) as journal,
        open_engine(settings, model, on_policy=on_policy) as engine,
    ):
        yield Client(engine, journal, budget, usage or Usage(), step)


def _key(identity: str, request: Request, sampling: Sampling) -> str:
    settings = (sampling.max_new_tokens, float(sampling.temperature), float(sampling.top_p))
    messages = json.dumps(clean_messages(request.messages), sort_keys=True)
    return digest(identity, messages, str(settings), str(request.seed), request.schema or "")
