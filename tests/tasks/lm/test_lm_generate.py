"""Answers: in order, repeatable, stopped where they end."""

import torch

from tasks.lm.generate import generate

PROMPTS = [
    [{"role": "user", "content": text}] for text in ("Hi", "How do I change the address of my order?", "x " * 50)
]
SAMPLING = {"max_new_tokens": 12, "temperature": 1.0, "top_p": 0.95}


def test_a_batch_says_what_each_prompt_alone_says(lm):
    greedy = {"max_new_tokens": 12, "temperature": 0.0, "top_p": 1.0, "seed": 0}
    together = generate(lm, PROMPTS, **greedy)
    assert together == [generate(lm, [prompt], **greedy)[0] for prompt in PROMPTS]
    assert all(completion.tokens <= 12 for completion in together)


def test_sampling_follows_the_seed_and_leaves_torch_as_it_was(lm):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first = generate(lm, PROMPTS, **SAMPLING, seed=1)
    assert torch.equal(torch.rand(1), expected)
    assert first == generate(lm, PROMPTS, **SAMPLING, seed=1)
    assert first != generate(lm, PROMPTS, **SAMPLING, seed=2)


def test_an_answer_ends_at_the_end_of_turn(lm):
    many = generate(lm, PROMPTS[:1] * 64, max_new_tokens=80, temperature=2.0, top_p=1.0, seed=3, batch_size=64)
    ended = [completion for completion in many if completion.finished]
    assert ended, "with 64 x 80 tokens of near noise over 512, some answer must end"
    assert all("<|im_end|>" not in completion.text for completion in many)
    assert all(completion.tokens == 80 for completion in many if not completion.finished)


def test_a_prompt_beyond_the_context_keeps_its_end(lm):
    endless = [[{"role": "user", "content": "word " * 5000}]]
    assert generate(lm, endless, max_new_tokens=4, temperature=0, top_p=1, seed=0)[0].tokens <= 4
