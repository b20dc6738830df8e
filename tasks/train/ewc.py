"""Elastic weight consolidation (Kirkpatrick et al. 2017, https://arxiv.org/abs/1612.00796): weights that matter to what
the model knows are pulled back to where they were.

How much a weight matters is the diagonal of the Fisher information on the rows that a mixture replays against
forgetting. Near the start, half the Fisher information times the squared distance is what those rows' loss grows by,
so `ewc_lambda` says how much that loss counts beside the one that is trained on.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from typing_extensions import override

from configs.settings import StageSettings
from tasks.train.job import TrainingError
from tasks.train.losses import log_probabilities, next_token_logits
from tasks.train.stages.contract import Stage

MOST = 200
"""Rows that the Fisher information is estimated on at most."""

Marked = tuple[list[int], list[bool]]
"""Tokens, and which of them the loss is on."""


def split_replay(rows: Sequence[Mapping[str, Any]], settings: StageSettings) -> tuple[list[Any], list[Any]]:
    """The rows to train on, and those whose loss should not grow."""
    replay = [row for row in rows if row.get("replay")]
    if settings.ewc_replay or not settings.ewc_lambda:
        return list(rows), replay
    return [row for row in rows if not row.get("replay")], replay


def encode_replay(
    stage: Stage, rows: Iterable[Mapping[str, Any]], tokenizer: Any, settings: StageSettings
) -> list[Marked]:
    """Rows as the stage trains on them, at most `MOST`.

    Raises:
        TrainingError: there is none.
    """
    found: list[Marked] = []
    for row in rows:
        encoded = stage.encode(row, tokenizer, settings)
        found += [] if isinstance(encoded, str) else [stage.trained(example) for example in encoded]
        if len(found) >= MOST:
            return found[:MOST]
    if not found:
        raise TrainingError(
            "ewc_lambda holds what the model needs for the rows that are replayed, and the mixture has none: give it "
            "a source with replay: true (see mix.sources), or set ewc_lambda to 0."
        )
    return found


def fisher(model: Any, rows: Sequence[Marked], seed: int) -> dict[str, torch.Tensor]:
    """Diagonal of the Fisher information a token, of every trainable weight by its name.

    It is the mean square of the gradient where the next tokens are drawn from the model itself. Given what stands
    before them, drawn tokens pull independently, so one gradient a row is enough.

    Args:
        model: its weights are left as they are.
        rows: tokens, and which of them count.
        seed: of the draws.
    """
    weights = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    sums = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    draws = torch.Generator(model.device).manual_seed(seed)
    was_training = model.training
    model.eval()
    tokens = 0
    for ids, marks in rows:
        row = torch.tensor([ids], device=model.device)
        logits = next_token_logits(model, row, torch.ones_like(row))[0][marks[1:]]
        drawn = torch.multinomial(logits.detach().float().softmax(-1), 1, generator=draws)[:, 0]
        model.zero_grad()
        log_probabilities(logits, drawn).sum().backward()
        for name, weight in weights.items():
            if weight.grad is not None:
                sums[name] += weight.grad.square()
        tokens += len(drawn)
    model.zero_grad()
    model.train(was_training)
    return {name: total / max(tokens, 1) for name, total in sums.items()}


class HoldWeights(TrainerCallback):
    """Adds to each gradient the pull towards where the weight was, so that it works with the loss of any trainer.

    The trainer has clipped the gradients by then, and what is clipped alone counts for less beside the pull than it
    should: here both are clipped together, and the trainer's own `max_grad_norm` has to be 0.

    Args:
        model: before training.
        importance: of each weight by its name, as `fisher` gives it.
        strength: `ewc_lambda`.
        longest: norm that gradients are clipped to; 0 leaves them.
    """

    def __init__(self, model: Any, importance: Mapping[str, torch.Tensor], strength: float, longest: float) -> None:
        self._longest = longest
        weights = dict(model.named_parameters())
        self._held = [
            (weights[name], weights[name].detach().clone(), strength * value) for name, value in importance.items()
        ]

    @override
    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        pulled = 0
        for weight, start, pull in self._held:
            if weight.grad is not None:
                weight.grad.add_(pull * (weight.detach() - start))
                pulled += 1
        if not pulled:
            raise TrainingError("ewc_lambda needs the whole weights on each device: set the strategy to ddp.")
        if self._longest:
            torch.nn.utils.clip_grad_norm_([weight for weight, _, _ in self._held], self._longest)
