"""Several rows in one of full length, so that hardly a token is padding; no row sees another.

Long rows first, each into the fullest pack with room for it (TRL's best fit decreasing; a stage has split its long
texts before). Nothing stands before the first token of a row, so that one is not learned. Positions begin anew with
each row of a pack. From that, and without a mask for padding, Transformers' attention tells the rows apart, in every
implementation but flash attention with several packs a batch; `check_apart` tries it on the very model.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from datasets import Dataset
from torch.nn.utils.rnn import pad_sequence
from trl.data_utils import pack_dataset

from tasks.train.job import TrainingError
from tasks.train.stages.contract import IGNORED, Example

log = logging.getLogger(__name__)


def pack(examples: Sequence[Example], size: int) -> list[Example]:
    """Examples with `input_ids` and `labels` as packs of at most `size` tokens, with `seq_lengths`."""
    rows = [{"input_ids": one["input_ids"], "labels": [IGNORED, *one["labels"][1:]]} for one in examples]
    packed: list[Example] = pack_dataset(Dataset.from_list(rows), size).to_list()
    return packed


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
