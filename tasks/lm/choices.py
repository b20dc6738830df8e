"""The token that a model would choose at each place of an answer, given the true ones before it."""

import numpy as np
import torch
from numpy.typing import NDArray

from tasks.lm.likelihood import logits
from tasks.lm.load import LanguageModel
from tasks.lm.template import Encoded


def places(row: Encoded) -> list[int]:
    """Where the answer's tokens are; the first token of all is chosen by nobody."""
    return [at for at, wanted in enumerate(row.answer) if wanted and at > 0]


def choices(lm: LanguageModel, row: Encoded) -> NDArray[np.int64]:
    """The likeliest token at each of the answer's places.

    Args:
        lm: the model.
        row: a conversation with its answer.
    """
    before = [at - 1 for at in places(row)]
    if not before:
        return np.empty(0, dtype=np.int64)
    ids = torch.tensor([row.input_ids], device=lm.device)
    with torch.inference_mode():
        hidden = lm.model.base_model(input_ids=ids, use_cache=False).last_hidden_state[0, before]
        chosen: NDArray[np.int64] = logits(lm.model, hidden).argmax(-1).cpu().numpy()
    return chosen
