"""How fast losses are calculated, against three other ways to do it that agree on every value."""

import time
from collections.abc import Callable, Sequence

import numpy as np
import torch

from tasks.lm.likelihood import length_batches, likelihoods
from tasks.lm.load import LanguageModel
from tasks.lm.template import Encoded, encode
from tests.bench._score_data import prompts
from tests.bench._table import show

MAX_TOKENS = 1024
TOKEN_BUDGET = 2048
NAIVE_BATCH = 16
EVERY = 4
"""Of the other ways, which take several times as long, only every fourth batch or text is timed: a speed is a speed."""


def compare(lm: LanguageModel, texts: int, rounds: int) -> dict[str, float]:
    """Tokens per second of each way, the best of `rounds` rounds, in which the ways take turns.

    Ours works on all texts, because it sorts them; of the others every fourth text, batch in file order, and equally
    long batch stands for all.

    Raises:
        ArithmeticError: two ways differ by more than 1e-4 (relative) somewhere.
    """
    rows = [encode(lm.tokenizer, [{"role": "document", "content": text}], MAX_TOKENS) for text in prompts(texts)]
    lengths = np.array([len(row.input_ids) for row in rows])
    batches = list(length_batches(lengths.tolist(), TOKEN_BUDGET))[::EVERY]
    equal = [torch.randint(len(lm.tokenizer), (len(batch), len(rows[batch[0]].input_ids))) for batch in batches]
    single = np.arange(len(rows))[::EVERY]
    in_batches = np.flatnonzero(np.arange(len(rows)) // NAIVE_BATCH % EVERY == 0)
    ways: dict[str, tuple[np.ndarray, Callable[[], np.ndarray]]] = {
        "ours": (np.arange(len(rows)), lambda: likelihoods(lm, rows, TOKEN_BUDGET).text_loss),
        "one by one": (single, lambda: naive(lm, [rows[at] for at in single], 1)),
        f"batches of {NAIVE_BATCH} in file order": (
            in_batches,
            lambda: naive(lm, [rows[at] for at in in_batches], NAIVE_BATCH),
        ),
        "forward on equally long batches": (np.arange(0), lambda: forward(lm, equal)),
    }
    speeds = dict.fromkeys(ways, 0.0)
    found = {}
    for _ in range(rounds):
        for name, (places, way) in ways.items():
            start = time.perf_counter()
            found[name] = way()
            done = int(lengths[places].sum()) or sum(batch.numel() for batch in equal)
            speeds[name] = max(speeds[name], done / (time.perf_counter() - start))
    for name in list(ways)[1:3]:
        if not np.allclose(found["ours"][ways[name][0]], found[name], rtol=1e-4):
            raise ArithmeticError(f"The losses of {name} are not ours.")
    tokens = int(lengths.sum())
    show(
        f"Losses of {texts} prompts, {tokens:,} tokens, {torch.get_num_threads()} threads, {lm.device}",
        ["way", "tokens/s", "ours is"],
        [[name, f"{speed:,.0f}", f"{speeds['ours'] / speed:.2f} x"] for name, speed in speeds.items()],
    )
    against = [round(speeds["ours"] / speed, 3) for speed in list(speeds.values())[1:]]
    return dict(zip(("vs_one_by_one", "vs_naive_batches", "vs_forward"), against, strict=True))


@torch.inference_mode()
def naive(lm: LanguageModel, rows: Sequence[Encoded], size: int) -> np.ndarray:
    """Losses as most people write it: pad, mask, all logits, in the order of the file."""
    sums = []
    for at in range(0, len(rows), size):
        ids = [torch.tensor(row.input_ids) for row in rows[at : at + size]]
        padded = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True, padding_value=lm.tokenizer.pad_token_id)
        lengths = torch.tensor([len(row) for row in ids])
        mask = (torch.arange(padded.shape[1]) < lengths[:, None]).to(lm.device)
        padded = padded.to(lm.device)
        found = lm.model(input_ids=padded, attention_mask=mask.long()).logits[:, :-1].float()
        losses = torch.nn.functional.cross_entropy(found.transpose(1, 2), padded[:, 1:], reduction="none")
        sums.append((losses * mask[:, 1:]).sum(1).double().cpu().numpy())
    return np.concatenate(sums)


@torch.inference_mode()
def forward(lm: LanguageModel, batches: Sequence[torch.Tensor]) -> np.ndarray:
    """Only the model's forward pass, logits included, on what needs no padding."""
    for batch in batches:
        lm.model(input_ids=batch.to(lm.device), use_cache=False)
    if lm.device.type == "cuda":
        torch.cuda.synchronize()
    return np.zeros(0)
