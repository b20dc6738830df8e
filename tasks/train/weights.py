"""A model before and after training: its tokenizer's padding, its adapter, and the folder it is saved into."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, BitsAndBytesConfig

from tasks.lm.bottleneck import has_bottlenecks, save_bottlenecks
from tasks.lm.load import UNMERGED
from tasks.train.job import TrainingError

TASKS: dict[str, tuple[Any, dict[str, Any]]] = {
    "CAUSAL_LM": (AutoModelForCausalLM, {}),
    "SEQ_CLS": (AutoModelForSequenceClassification, {"num_labels": 1}),
}
"""What a task's model is loaded by, under PEFT's names."""


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


def load_trainable(folder: str, task: str = "CAUSAL_LM", *, quantized: bool = False) -> Any:
    """The model in float32: small updates are lost in bfloat16.

    Args:
        folder: of the model.
        task: CAUSAL_LM, or SEQ_CLS for a model that gives one score; that layer is new unless the folder has it.
        quantized: in 4 bits (NF4), for an adapter beside it (https://arxiv.org/abs/2305.14314).

    Raises:
        TrainingError: a model that writes is wanted, and the folder holds one that scores.
    """
    loader, options = TASKS[task]
    if task == "CAUSAL_LM" and _scores(folder):
        raise TrainingError(f"{folder} is a reward model, which gives scores and writes no answers: train another one.")
    if quantized:
        options = options | {"quantization_config": _four_bits()}
    model = loader.from_pretrained(folder, dtype=torch.float32, **options)
    for layer in model.modules():
        # On a processor with AVX512-BF16, bitsandbytes repacks a layer's 4 bits when it first evaluates, and fails
        # where inputs are no multiple of its blocks (its `_convert_weight_packed_for_cpu`).
        if hasattr(layer, "support_avx512bf16_for_cpu"):
            layer.support_avx512bf16_for_cpu = False
    return model


def _scores(folder: str) -> bool:
    kinds = json.loads((Path(folder) / "config.json").read_text()).get("architectures") or ()
    return any(kind.endswith("ForSequenceClassification") for kind in kinds)


def _four_bits() -> BitsAndBytesConfig:
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16 if torch.cuda.is_available() else torch.float32,
    )


def save(
    trained: Any,
    tokenizer: Any,
    parent: str,
    folder: Path,
    task: str = "CAUSAL_LM",
    state: Mapping[str, torch.Tensor] | None = None,
) -> None:
    """Save a trained model so that Transformers and vLLM load it without PEFT; the adapter lies beside it.

    An adapter is merged into freshly loaded float32 weights of the parent, on the CPU: in bfloat16, most of a small
    update would be rounded away. What cannot be merged lies in the folder `UNMERGED` beside the parent's weights.

    Args:
        trained: what the trainer trained.
        tokenizer: to save with it.
        parent: folder of the model that was trained on.
        folder: where to save; what an interrupted training left there is removed first.
        task: what it was loaded for.
        state: its weights, where `trained` itself has a part of them only.
    """
    shutil.rmtree(folder, ignore_errors=True)
    model = trained
    if has_bottlenecks(trained):
        save_bottlenecks(trained.state_dict() if state is None else state, folder / UNMERGED)
        model = load_trainable(parent, task)
    elif isinstance(trained, PeftModel):
        model = _merged(trained, parent, folder, task, state)
    elif state is not None:
        model = load_trainable(parent, task)
        model.load_state_dict(state)
    model.config.pad_token_id = tokenizer.pad_token_id
    if getattr(model, "generation_config", None) is not None:
        model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.to(torch.float32).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _merged(trained: PeftModel, parent: str, folder: Path, task: str, state: Mapping[str, torch.Tensor] | None) -> Any:
    if trained.active_peft_config.is_prompt_learning:
        trained.save_pretrained(str(folder / UNMERGED), state_dict=state)
        return load_trainable(parent, task)
    adapter = folder / "adapter"
    trained.save_pretrained(str(adapter), state_dict=state)
    return PeftModel.from_pretrained(load_trainable(parent, task), adapter).merge_and_unload(safe_merge=True)
