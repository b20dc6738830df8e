"""Losses that no trainer has as we want them, and the log-probabilities that they are made of: tensors in and out."""

from typing import Any

import torch
from torch.nn import functional

LOG_2 = 0.6931471805599453
SMALLEST = 1e-7
"""As near to 0 as a log-probability comes."""


def next_token_logits(model: Any, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """What the model says about each token but the first (rows x length - 1 x vocabulary); a learned prompt in front of
    the tokens is left out.

    Args:
        model: a causal language model, with an adapter or without.
        ids: tokens (rows x length), padded at their ends.
        mask: 1 for tokens, 0 for padding (rows x length).
    """
    logits: torch.Tensor = model(input_ids=ids, attention_mask=mask, use_cache=False).logits
    return logits[:, -ids.shape[1] :][:, :-1]


def log_probabilities(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Of each target (...) under its logits (... x vocabulary), in float32."""
    logits = logits.float()
    return logits.gather(-1, targets.unsqueeze(-1)).squeeze(-1) - logits.logsumexp(-1)


def odds_ratio_loss(chosen: torch.Tensor, rejected: torch.Tensor) -> torch.Tensor:
    """How far the odds of the better answers are from exceeding those of the worse ones (https://arxiv.org/abs/2403.07691,
    equation 7).

    Args:
        chosen: mean log-probability of each better answer's tokens (rows).
        rejected: of each worse one's (rows).
    """
    log_odds = chosen - rejected - (_log_of_rest(chosen) - _log_of_rest(rejected))
    return -functional.logsigmoid(log_odds).mean()


def distillation_loss(student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    """KL(teacher || student) a token, of both distributions softened (https://arxiv.org/abs/1503.02531): scaled by the
    square of the temperature, so that gradients keep their size.

    Args:
        student: logits (tokens x vocabulary).
        teacher: logits (tokens x vocabulary).
        temperature: 1 leaves the distributions as they are.
    """
    ours = (student.float() / temperature).log_softmax(-1)
    wanted = (teacher.float() / temperature).log_softmax(-1)
    return functional.kl_div(ours, wanted, log_target=True, reduction="batchmean") * temperature**2


def _log_of_rest(log_probability: torch.Tensor) -> torch.Tensor:
    """log(1 - p) of a log p, exact at both ends. Each branch sees what it is exact for: others have no gradient."""
    near_one = log_probability.clamp(-LOG_2, -SMALLEST)
    far = log_probability.clamp(max=-LOG_2)
    return torch.where(log_probability > -LOG_2, torch.log(-torch.expm1(near_one)), torch.log1p(-torch.exp(far)))
