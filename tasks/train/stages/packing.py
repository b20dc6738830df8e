"""Several rows in one of full length, so that hardly a token is padding; no row sees another.

Long rows first, each into the fullest pack with room for it (best fit decreasing, as TRL's `bfd_split`; a stage has
split its long texts before). Positions begin anew with each row of a pack. From that, and without a mask for padding,
Transformers' attention tells the rows apart, in every implementation but flash attention with several packs a batch;
`check_apart` tries it on the very model.
"""

import logging
from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence

from tasks.train.job import TrainingError
from tasks.train.stages.contract import IGNORED, Example

log = logging.getLogger(__name__)


def pack(examples: Sequence[Example], size: int) -> list[Example]:
    """Examples with `input_ids` and `labels` as packs of at most `size` tokens, with `seq_lengths`."""
    lengths = [len(example["input_ids"]) for example in examples]
    return [_joined([examples[index] for index in indices]) for indices in best_fit(lengths, size)]


def best_fit(lengths: Sequence[int], size: int) -> list[list[int]]:
    """Which rows share a pack: indices of `lengths`, whose sums are at most `size`."""
    packs: list[list[int]] = []
    spaces: list[int] = []  # that some pack has left, in order
    with_space: dict[int, list[int]] = {}  # packs by the space that they have left
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        at = bisect_left(spaces, lengths[index])
        if at == len(spaces):
            packs.append([])
            number, space = len(packs) - 1, size
        else:
            space = spaces[at]
            number = with_space[space].pop()
            if not with_space[space]:
                del spaces[at]
        packs[number].append(index)
        left = space - lengths[index]
        if not with_space.setdefault(left, []):
            insort(spaces, left)
        with_space[left].append(number)
    return packs


def collate(packs: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
    """A batch of packs: `input_ids`, `labels` and `position_ids`, each (packs, tokens of the longest)."""
    columns = {
        "input_ids": [torch.tensor(found["input_ids"]) for found in packs],
        "labels": [torch.tensor(found["labels"]) for found in packs],
        "position_ids": [torch.cat([torch.arange(length) for length in found["seq_lengths"]]) for found in packs],
    }
    # padding stands last and is nobody's label: whatever it sees, nobody sees it
    fill = {"input_ids": 0, "labels": IGNORED, "position_ids": 0}
    return {name: pad_sequence(rows, batch_first=True, padding_value=fill[name]) for name, rows in columns.items()}


def check_apart(model: Any) -> None:
    """See that the second row of a pack is read as if it stood alone.

    Raises:
        TrainingError: it is not: the model's attention, or its state, goes on from the first row.
    """
    device = next(model.parameters()).device  # that of a quantized model is the GPU already
    ids = torch.arange(2, 18, device=device)[None]
    positions = torch.arange(8, device=device).repeat(2)[None]
    training = model.training
    model.eval()
    with torch.no_grad():
        packed = model(input_ids=ids, position_ids=positions, use_cache=False).logits[0, 8:]
        alone = model(input_ids=ids[:, 8:], use_cache=False).logits[0]
    model.train(training)
    if not torch.allclose(packed, alone, atol=1e-3, rtol=1e-3):
        raise TrainingError(
            f"packing: {type(model).__name__} lets a row see the one before it in its pack; set packing: false."
        )
    log.info("packing: rows are told apart by their positions (attention: %s)", model.config._attn_implementation)


def _joined(rows: Sequence[Example]) -> Example:
    labels = [label for row in rows for label in (IGNORED, *row["labels"][1:])]  # nothing stands before a row's first
    return {
        "input_ids": [token for row in rows for token in row["input_ids"]],
        "labels": labels,
        "seq_lengths": [len(row["input_ids"]) for row in rows],
    }
