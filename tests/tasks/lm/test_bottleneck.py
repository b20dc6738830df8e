"""Bottleneck adapters: they change nothing at first, only they are trained, and they are found again."""

from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM

from configs.mistake import Mistake
from tasks.lm.bottleneck import BLOCKS, NAME, Bottleneck, has_bottlenecks, insert, load_bottlenecks, save_bottlenecks
from tests.tiny_model import make_tiny_model

IDS = torch.arange(20).reshape(2, -1)


def test_adapters_are_put_in_trained_and_loaded_again(tmp_path: Path) -> None:
    folder = make_tiny_model(tmp_path / "model", hidden=32)
    model = AutoModelForCausalLM.from_pretrained(folder)
    before = model(IDS).logits
    insert(model, 4)
    assert has_bottlenecks(model)
    assert torch.equal(model(IDS).logits, before)
    trainable = {name: weights for name, weights in model.named_parameters() if weights.requires_grad}
    assert all(f".{NAME}." in name for name in trainable)
    each = 4 * (2 * 32 + 1) + 32
    assert sum(weights.numel() for weights in trainable.values()) == 2 * len(BLOCKS) * each

    with torch.no_grad():
        for weights in trainable.values():
            weights.normal_(std=0.1)
    after = model(IDS).logits
    assert not torch.allclose(after, before, atol=1e-2)
    save_bottlenecks(model.state_dict(), tmp_path / "adapters")
    again = AutoModelForCausalLM.from_pretrained(folder)
    load_bottlenecks(again, tmp_path / "adapters")
    torch.testing.assert_close(again(IDS).logits, after)
    cached = again.generate(IDS[:, :4], max_new_tokens=4, do_sample=False, pad_token_id=0)
    assert torch.equal(cached, again.generate(IDS[:, :4], max_new_tokens=4, do_sample=False, use_cache=False))


def test_a_bottleneck_adds_what_its_narrow_layer_makes(tmp_path: Path) -> None:
    layer = Bottleneck(3, 2)
    nn.init.ones_(layer.down.weight)
    nn.init.zeros_(layer.down.bias)
    nn.init.ones_(layer.up.weight)
    states = torch.tensor([1.0, 2.0, 3.0])
    gelu = 6 * 0.5 * (1 + torch.erf(torch.tensor(6 / 2**0.5)))
    torch.testing.assert_close(layer(states), states + 2 * gelu)


def test_layers_of_other_names_are_refused() -> None:
    class Odd(nn.Module):
        layers = nn.ModuleList([nn.Linear(2, 2)])

        def get_decoder(self) -> "Odd":
            return self

    with pytest.raises(Mistake, match="those of Odd are named otherwise: take lora"):
        insert(Odd(), 4)
