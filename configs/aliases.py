"""Names that other tools have for our settings: accepted, with a warning that says ours."""

import logging
from collections.abc import Mapping
from typing import Any

log = logging.getLogger(__name__)

SETTINGS = dict.fromkeys(("base_model", "model", "model_name", "model_path"), "model_name_or_path") | {
    "chat_template": "template"
}
TRAIN = {"pt": "cpt", "rm": "reward"}  # LLaMA-Factory
STAGE = {
    **dict.fromkeys(("cutoff_len", "max_seq_length", "max_seq_len", "sequence_len", "block_size"), "max_length"),
    **dict.fromkeys(("lora_rank", "r"), "lora_r"),
    **dict.fromkeys(("lora_target_modules", "target_modules"), "lora_target"),
    **dict.fromkeys(("finetuning_method", "train_type", "tuner_type"), "finetuning_type"),
    "num_layer_trainable": "freeze_trainable_layers",
    **dict.fromkeys(("lr",), "learning_rate"),
    **dict.fromkeys(("lr_scheduler", "scheduler_type"), "lr_scheduler_type"),
    **dict.fromkeys(("num_epochs", "epochs"), "num_train_epochs"),
    **dict.fromkeys(("max_train_steps", "num_steps"), "max_steps"),
    **dict.fromkeys(("batch_size", "micro_batch_size", "train_batch_size"), "per_device_train_batch_size"),
    **dict.fromkeys(("gradient_accumulation", "grad_accum_steps"), "gradient_accumulation_steps"),
    **dict.fromkeys(("warmup_ratio", "num_warmup_steps"), "warmup_steps"),
    **dict.fromkeys(("sample_packing", "neat_packing"), "packing"),
    **dict.fromkeys(("pref_beta", "dpo_beta", "kl_beta"), "beta"),
}
"""LLaMA-Factory, axolotl, ms-swift, Unsloth, and older releases of TRL and Transformers."""


def renamed(given: Mapping[str, Any], aliases: Mapping[str, str]) -> dict[str, Any]:
    """`given` with our names for its keys.

    Raises:
        ValueError: it names the same setting twice.
    """
    result: dict[str, Any] = {}
    for name, value in given.items():
        ours = aliases.get(name, name)
        if ours != name and ours in given:
            raise ValueError(f"{name} and {ours} are the same setting: keep {ours}")
        if ours in result:
            raise ValueError(f"{ours} is set twice, under other names: keep {ours}")
        if ours != name:
            log.warning("The setting %s is called %s here.", name, ours)
        result[ours] = value
    return result
