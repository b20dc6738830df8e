"""Bottleneck adapters (Houlsby et al. 2019, https://arxiv.org/abs/1902.00751): two small layers after each block."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from configs.mistake import Mistake

BLOCKS = ("self_attn", "mlp")
NAME = "bottleneck"
WEIGHTS, CONFIG = "bottleneck.safetensors", "bottleneck.json"


class Bottleneck(nn.Module):
    """Adds to hidden states (... x hidden) what a narrow layer makes of them; at first that is nothing."""

    def __init__(self, hidden: int, size: int) -> None:
        super().__init__()
        self.down = nn.Linear(hidden, size)
        self.up = nn.Linear(size, hidden)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        added: torch.Tensor = self.up(nn.functional.gelu(self.down(states)))
        return states + added


def insert(model: Any, size: int) -> None:
    """Put an adapter after the attention and the feed-forward block of every layer, before what they add to the stream.

    Only the adapters are trainable afterwards.

    Args:
        model: a decoder whose layers have `self_attn` and `mlp`.
        size: width of the bottlenecks.

    Raises:
        Mistake: the layers are named otherwise.
    """
    layers = model.get_decoder().layers
    if not all(hasattr(layer, name) for layer in layers for name in BLOCKS):
        raise Mistake(
            f"finetuning_type adapter knows layers with {' and '.join(BLOCKS)}, and those of {type(model).__name__} "
            "are named otherwise: take lora."
        )
    model.requires_grad_(False)
    for layer in layers:
        for name in BLOCKS:
            block = getattr(layer, name)
            bottleneck = Bottleneck(model.config.get_text_config().hidden_size, size)
            block.add_module(NAME, bottleneck.to(next(block.parameters())))
            block.register_forward_hook(_through)


def has_bottlenecks(model: Any) -> bool:
    """Whether `insert` was called on it."""
    return any(isinstance(part, Bottleneck) for part in model.modules())


def save_bottlenecks(state: Mapping[str, torch.Tensor], folder: Path) -> None:
    """Write the adapters of a model's state, without the model, into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    own = {name: weights.contiguous() for name, weights in state.items() if f".{NAME}." in name}
    save_file(own, folder / WEIGHTS)
    size = next(weights.shape[0] for name, weights in own.items() if name.endswith(".down.weight"))
    (folder / CONFIG).write_text(json.dumps({"bottleneck_size": size}))


def load_bottlenecks(model: Any, folder: Path) -> None:
    """Put the adapters that were saved into `folder` into the model that they were trained with."""
    insert(model, json.loads((folder / CONFIG).read_text())["bottleneck_size"])
    model.load_state_dict(load_file(folder / WEIGHTS), strict=False)


def _through(block: Any, _inputs: Any, output: Any) -> Any:
    """The block's output through its adapter; attention blocks give more than their states."""
    adapter = getattr(block, NAME)
    return (adapter(output[0]), *output[1:]) if isinstance(output, tuple) else adapter(output)
