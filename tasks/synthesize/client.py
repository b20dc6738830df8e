"""What methods ask through: an engine with a journal, and a count of what was asked."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from storage.progress import progress
from storage.snapshot import digest
from tasks.lm.generate import Completion
from tasks.lm.template import clean_messages
from tasks.synthesize.engine import Engine, Outcome, Request, Sampling
from tasks.synthesize.journal import Journal

log = logging.getLogger(__name__)


@dataclass
class Usage:
    """What was asked: requests sent, requests found in the journal, requests without an answer, tokens written."""

    sent: int = 0
    reused: int = 0
    failed: int = 0
    tokens: int = 0


@dataclass(frozen=True)
class Client:
    """Asks an engine for what the journal does not have yet."""

    engine: Engine
    journal: Journal
    usage: Usage = field(default_factory=Usage)

    def ask(self, requests: Sequence[Request], sampling: Sampling, label: str) -> list[Outcome]:
        """The outcome of each request, in their order. Completions are journaled one by one as they finish.

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
            answers = self.engine.generate(missing.values(), sampling)
            for position, outcome in progress(answers, len(order), f"synthesize: {label}", "requests"):
                self._note(order[position], outcome)
                outcomes[order[position]] = outcome
        return [outcomes[key] for key in keys]

    def _note(self, key: str, outcome: Outcome) -> None:
        self.usage.sent += 1
        if isinstance(outcome, Completion):
            self.journal.add(key, outcome)
            self.usage.tokens += outcome.tokens
        else:
            self.usage.failed += 1
            log.warning("synthesize: a request was given up: %s", outcome.reason)


def _key(identity: str, request: Request, sampling: Sampling) -> str:
    settings = (sampling.max_new_tokens, float(sampling.temperature), float(sampling.top_p))
    messages = json.dumps(clean_messages(request.messages), sort_keys=True)
    return digest(identity, messages, str(settings), str(request.seed), request.schema or "")
