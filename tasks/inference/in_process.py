"""An engine in this process: Transformers, for machines without vLLM."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path

from storage.snapshot import digest
from tasks.inference.engine import Outcome, Request, Sampling
from tasks.lm.generate import generate
from tasks.lm.load import LanguageModel, load

BATCH = 16


@dataclass(frozen=True)
class InProcess:
    """A model in this process, loaded with the first request. See `Engine` for `model` and `identity`."""

    folder: Path
    adapter: Path | None
    model: str
    identity: str

    @cached_property
    def lm(self) -> LanguageModel:
        """The model, with its adapter merged into it."""
        lm = load(self.folder)
        if self.adapter is None:
            return lm
        from peft import PeftModel

        return replace(lm, model=PeftModel.from_pretrained(lm.model, str(self.adapter)).merge_and_unload().eval())

    def generate(self, requests: Iterable[Request], sampling: Sampling) -> Iterator[tuple[int, Outcome]]:
        """See `Engine`. Outcomes come in order, a batch at a time; a batch is sampled, and so seeded, as one."""
        waiting = iter(requests)
        position = 0
        while batch := list(islice(waiting, BATCH)):
            completions = generate(
                self.lm,
                [request.messages for request in batch],
                max_new_tokens=sampling.max_new_tokens,
                temperature=sampling.temperature,
                top_p=sampling.top_p,
                seed=int(digest(*(str(request.seed) for request in batch))[:8], 16),
                batch_size=BATCH,
                label="answers",
            )
            for completion in completions:
                yield position, completion
                position += 1
