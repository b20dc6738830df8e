"""How likely a model finds texts: losses of whole texts and of answers, from one forward pass."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from tasks.lm.devices import each_batch
from tasks.lm.load import LanguageModel
from tasks.lm.template import Encoded

HEAD_ROWS = 256
"""Positions whose logits exist at a time: with a vocabulary of 150,000 that is 0.15 GB, not one per padded token."""
ALIKE = 0.9
"""A batch's shortest row is at least that share of its longest: the rest would be padding."""


@dataclass(frozen=True)
class Likelihoods:
    """What the model says of each row, in the order that the rows came in.

    Args:
        text_loss: nats, summed over the tokens that somebody wrote; a text's first token is never predicted.
        text_tokens: how many tokens that is.
        answer_loss: nats, summed over the last answer and its end of turn, given what came before.
        answer_tokens: how many tokens that is.
        pooled: rows x hidden, float32: the mean over the answer of the middle layer's hidden states; zeros without an
            answer. Middle layers know more of a text than the last one, which is about to name the next token: of 300
            real pairs, a reward head on SmolLM2's layer 15 ranks 69% rightly, on its last 63%.
    """

    text_loss: np.ndarray
    text_tokens: np.ndarray
    answer_loss: np.ndarray
    answer_tokens: np.ndarray
    pooled: np.ndarray | None


def likelihoods(
    lm: LanguageModel,
    rows: Sequence[Encoded],
    token_budget: int = 4096,
    pooled: bool = False,
    label: str = "likelihood",
) -> Likelihoods:
    """Losses of all rows under a causal language model.

    Rows are sorted by length and put together into batches of about equal length, so that hardly a token is padding.
    They are padded at their ends: attention looks back only, so no mask is needed.

    Args:
        lm: the model.
        rows: encoded texts.
        token_budget: the most tokens of a batch, padding included; a longer row is a batch of its own.
        pooled: whether to return pooled hidden states too.
        label: what the progress line says.
    """
    count = len(rows)
    sums = np.zeros((4, count))
    states = np.zeros((count, lm.model.config.get_text_config().hidden_size), dtype=np.float32) if pooled else None
    batches = list(length_batches([len(row.input_ids) for row in rows], token_budget))

    def work(mine: LanguageModel, batch: list[int]) -> tuple[np.ndarray, np.ndarray | None]:
        return _forward(mine, [rows[index] for index in batch], pooled=pooled)

    with torch.inference_mode():
        for batch, (values, hidden) in each_batch(lm, batches, work, label):
            sums[:, batch] = values
            if states is not None and hidden is not None:
                states[batch] = hidden
    text, answer = sums[1].astype(np.int64), sums[3].astype(np.int64)
    return Likelihoods(sums[0], text, sums[2], answer, states)


def features(
    lm: LanguageModel, rows: Sequence[Encoded], token_budget: int = 4096, label: str = "features"
) -> np.ndarray:
    """`Likelihoods.pooled` alone (rows x hidden, float32), at less than half the cost.

    The layers above the middle one are not run, nor the head. For the arguments see `likelihoods`.
    """
    states = np.zeros((len(rows), lm.model.config.get_text_config().hidden_size), dtype=np.float32)
    batches = list(length_batches([len(row.input_ids) for row in rows], token_budget))

    def work(mine: LanguageModel, batch: list[int]) -> np.ndarray:
        chosen = [rows[index] for index in batch]
        ids = padded([row.input_ids for row in chosen], mine.tokenizer.pad_token_id).to(mine.device)
        return _pooled(_middle(mine.model, ids), chosen)

    with torch.inference_mode():
        for batch, pooled in each_batch(lm, batches, work, label):
            states[batch] = pooled
    return states


class _MiddleError(Exception):
    """Ends a forward pass once the middle layer has been run."""

    def __init__(self, hidden: torch.Tensor) -> None:
        self.hidden = hidden


def _middle(model: Any, ids: torch.Tensor) -> torch.Tensor:
    """Hidden states (rows x length x hidden) of the middle layer; no layer after it is run."""
    layers = next(part for part in model.base_model.children() if isinstance(part, torch.nn.ModuleList))

    def stop(_module: Any, _inputs: Any, output: Any) -> None:
        raise _MiddleError(output[0] if isinstance(output, tuple) else output)

    hook = layers[(len(layers) + 1) // 2 - 1].register_forward_hook(stop)
    try:
        model.base_model(input_ids=ids, use_cache=False)
    except _MiddleError as reached:
        return reached.hidden
    finally:
        hook.remove()
    raise RuntimeError("the middle layer was never run")


def length_batches(lengths: Sequence[int], token_budget: int) -> Iterator[list[int]]:
    """Indices of rows in batches of similar length, longest first: what does not fit into memory fails at once.

    Rows of no tokens are in no batch.
    """
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda at: (-lengths[at], at)):
        if lengths[index] == 0:
            break
        longest = lengths[batch[0] if batch else index]
        if longest * (len(batch) + 1) > token_budget or lengths[index] < ALIKE * longest:
            if batch:
                yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _forward(lm: LanguageModel, rows: Sequence[Encoded], *, pooled: bool) -> tuple[np.ndarray, np.ndarray | None]:
    """Text loss, text tokens, answer loss, answer tokens (4 x rows), and pooled states (rows x hidden)."""
    ids = padded([row.input_ids for row in rows], lm.tokenizer.pad_token_id).to(lm.device)
    text = padded([row.text for row in rows], False).to(lm.device)
    answer = padded([row.answer for row in rows], False).to(lm.device)
    out = lm.model.base_model(input_ids=ids, use_cache=False, output_hidden_states=pooled)
    hidden = out.last_hidden_state

    wanted = (text | answer)[:, 1:]
    losses = torch.zeros(wanted.shape, dtype=torch.float64, device=lm.device)
    losses[wanted] = _losses(lm.model, hidden[:, :-1][wanted], ids[:, 1:][wanted])
    values = [part for mask in (text[:, 1:], answer[:, 1:]) for part in ((losses * mask).sum(1), mask.sum(1))]
    sums = torch.stack([value.double() for value in values]).cpu().numpy()
    if not pooled:
        return sums, None
    return sums, _pooled(out.hidden_states[len(out.hidden_states) // 2], rows)


def _pooled(hidden: torch.Tensor, rows: Sequence[Encoded]) -> np.ndarray:
    """The mean of hidden states (rows x length x hidden) over each row's answer."""
    weights = padded([row.answer for row in rows], False).to(hidden)
    mean = torch.einsum("blh,bl->bh", hidden, weights) / weights.sum(1, keepdim=True).clamp(min=1)
    return np.asarray(mean.float().cpu().numpy())


def _losses(model: Any, hidden: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Cross entropy of each position, in nats: hidden (n x h), targets (n) -> n, float64."""
    parts = [
        functional.cross_entropy(logits(model, states).float(), wanted, reduction="none").double()
        for states, wanted in zip(hidden.split(HEAD_ROWS), targets.split(HEAD_ROWS), strict=True)
    ]
    return torch.cat(parts)


def logits(model: Any, hidden: torch.Tensor) -> torch.Tensor:
    """The model's head on last hidden states; some families scale (Cohere, Granite) or cap (Gemma) their logits."""
    config = model.config.get_text_config()
    out: torch.Tensor = model.get_output_embeddings()(hidden)
    if divisor := getattr(config, "logits_scaling", None):
        out = out / divisor
    if factor := getattr(config, "logit_scale", None):
        out = out * factor
    if cap := getattr(config, "final_logit_softcapping", None):
        out = torch.tanh(out / cap) * cap
    return out


def padded(rows: Sequence[Sequence[int]] | Sequence[Sequence[bool]], fill: int | bool) -> torch.Tensor:
    """Rows of different lengths as one tensor (rows x longest), filled up at their ends."""
    tensors = [torch.tensor(row) for row in rows]
    return torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=fill)
