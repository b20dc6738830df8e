"""A model before and after training: its tokenizer's padding, its adapter, and the folder it is saved into."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from tasks.train.job import TrainingError


def distinct_padding(tokenizer: Any) -> None:
    """Pad with a token that no answer ends with.

    A tokenizer that pads with its end-of-turn token teaches generation to take one for the other: the pad token is
    saved into the generation config. An unused special token takes its place; none is added, so the model keeps its
    size.

    Raises:
        TrainingError: the tokenizer has no other special token.
    """
    if tokenizer.pad_token_id is not None and tokenizer.pad_token_id != tokenizer.eos_token_id:
        return
    endings = {None, tokenizer.eos_token, tokenizer.bos_token}
    others = [token for token in (tokenizer.unk_token, *tokenizer.all_special_tokens) if token not in endings]
    if not others:
        raise TrainingError(
            f"The tokenizer {tokenizer.name_or_path} has no special token to pad with but its end-of-turn token: "
            "give it a pad_token."
        )
    tokenizer.pad_token = others[0]


def load_trainable(folder: str) -> Any:
    """The model in float32: small updates are lost in bfloat16."""
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


def save(
    trained: Any, tokenizer: Any, parent: str, folder: Path, state: Mapping[str, torch.Tensor] | None = None
) -> None:
    """Save a trained model so that Transformers and vLLM load it without PEFT; the adapter lies beside it.

    An adapter is merged into freshly loaded float32 weights of the parent, on the CPU: in bfloat16, most of a small
    update would be rounded away.

    Args:
        trained: what the trainer trained.
        tokenizer: to save with it.
        parent: folder of the model that was trained on.
        folder: where to save; what an interrupted training left there is removed first.
        state: its weights, where `trained` itself has a part of them only.
    """
    shutil.rmtree(folder, ignore_errors=True)
    model = trained
    if isinstance(trained, PeftModel):
        trained.save_pretrained(str(folder / "adapter"), state_dict=state)
        model = PeftModel.from_pretrained(load_trainable(parent), folder / "adapter").merge_and_unload(safe_merge=True)
    elif state is not None:
        model = load_trainable(parent)
        model.load_state_dict(state)
    model.config.pad_token_id = model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.to(torch.float32).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
