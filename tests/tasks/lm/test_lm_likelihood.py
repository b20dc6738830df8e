"""Losses against a direct calculation in float64, one row at a time, all logits at once."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.lm import devices, likelihood
from tasks.lm.likelihood import features, length_batches, likelihoods
from tasks.lm.load import LanguageModel
from tasks.lm.template import Encoded, encode

TEXTS = [
    "How do I change the address?",
    "The printer does not print any more. Please switch it off. " * 6,
    "",
    "Sally has 3 apples.",
    "ß 谢谢 \U0001f600",
    "a",
]
ROWS = [[{"role": "user", "content": text}, {"role": "assistant", "content": text[::-1]}] for text in TEXTS]
ROWS += [[{"role": "document", "content": text}] for text in TEXTS]
ROWS += [[{"role": "user", "content": "No answer yet"}]]


def direct(lm, row: Encoded) -> tuple[float, int, float, int, np.ndarray]:
    """Text and answer loss and the mean hidden state of the middle layer, by the book."""
    hidden = lm.model.config.hidden_size
    if not row.input_ids:
        return 0.0, 0, 0.0, 0, np.zeros(hidden)
    double = lm.model.double()
    try:
        with torch.no_grad():
            out = double(torch.tensor([row.input_ids]), output_hidden_states=True)
    finally:
        lm.model.float()
    losses = -torch.log_softmax(out.logits[0, :-1], -1)[range(len(row.input_ids) - 1), row.input_ids[1:]].numpy()
    text, answer = np.array(row.text[1:], dtype=bool), np.array(row.answer[1:], dtype=bool)
    marked = np.array(row.answer, dtype=bool)
    pooled = out.hidden_states[1][0].numpy()[marked].mean(0) if marked.any() else np.zeros(hidden)
    return losses[text].sum(), int(text.sum()), losses[answer].sum(), int(answer.sum()), pooled


@pytest.mark.parametrize("token_budget", [1, 200, 100_000])
def test_losses_agree_with_float64(lm, token_budget, monkeypatch):
    monkeypatch.setattr(likelihood, "HEAD_ROWS", 7)  # several pieces, the last one not full
    rows = [encode(lm.tokenizer, messages, 256) for messages in ROWS]
    found = likelihoods(lm, rows, token_budget, pooled=True)
    expected = [direct(lm, row) for row in rows]
    np.testing.assert_allclose(found.text_loss, [row[0] for row in expected], atol=1e-3, rtol=1e-5)
    np.testing.assert_array_equal(found.text_tokens, [row[1] for row in expected])
    np.testing.assert_allclose(found.answer_loss, [row[2] for row in expected], atol=1e-3, rtol=1e-5)
    np.testing.assert_array_equal(found.answer_tokens, [row[3] for row in expected])
    np.testing.assert_allclose(found.pooled, np.array([row[4] for row in expected]), atol=1e-4)


def test_logits_that_a_family_scales_or_caps_are_those_of_the_model():
    from transformers import Gemma2Config, Gemma2ForCausalLM, GraniteConfig, GraniteForCausalLM

    shape = {"vocab_size": 50, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "pad_token_id": 0}
    shape |= {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8}
    for model in (
        Gemma2ForCausalLM(Gemma2Config(**shape, final_logit_softcapping=0.5)),
        GraniteForCausalLM(GraniteConfig(**shape, logits_scaling=3.0)),
    ):
        ids = torch.tensor([[1, 2, 3, 4]])
        with torch.no_grad():
            hidden = model.eval().base_model(input_ids=ids).last_hidden_state
            torch.testing.assert_close(likelihood.logits(model, hidden), model(input_ids=ids).logits)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 60)), st.integers(1, 200))
def test_batches_hold_every_row_once_and_keep_to_the_budget(lengths, budget):
    batches = list(length_batches(lengths, budget))
    assert sorted(at for batch in batches for at in batch) == [at for at, length in enumerate(lengths) if length]
    for batch in batches:
        longest = max(lengths[at] for at in batch)
        assert longest * len(batch) <= budget or len(batch) == 1


def test_nothing_gives_nothing(lm):
    found = likelihoods(lm, [], pooled=True)
    assert found.text_loss.shape == (0,)
    assert found.pooled is not None
    assert found.pooled.shape == (0, 64)


def test_features_alone_equal_those_of_a_whole_pass(lm) -> None:
    rows = [encode(lm.tokenizer, messages, 64) for messages in ROWS]
    np.testing.assert_allclose(features(lm, rows), likelihoods(lm, rows, pooled=True).pooled, atol=1e-5)


def test_several_devices_share_the_batches_and_agree_with_one(
    lm: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [encode(lm.tokenizer, [{"role": "user", "content": "So? " * at}], 64) for at in range(1, 12)]
    alone, states = likelihoods(lm, rows, 64), features(lm, rows, 64)
    monkeypatch.setattr(devices, "devices", lambda _: [torch.device("cpu")] * 3)
    np.testing.assert_allclose(likelihoods(lm, rows, 64).text_loss, alone.text_loss, rtol=1e-6)
    np.testing.assert_allclose(features(lm, rows, 64), states, rtol=1e-5, atol=1e-6)
    with pytest.raises(ZeroDivisionError):
        list(devices.each_batch(lm, [[1], [2], [3], [4]], lambda *_: 1 // 0, "fails"))
