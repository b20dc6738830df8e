"""A tiny Llama with a tokenizer of its own, made on the spot: tests train, serve and evaluate it in seconds."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

BOS, EOS, PAD, START = "<|bos|>", "<|im_end|>", "<|pad|>", "<|im_start|>"

TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + (message['content'] or '') + '<|im_end|>' + '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

TEXT = """
How do I change the address of my order? You can change the address until the parcel has left our house.
The printer does not print any more. Please switch it off, wait for ten seconds and switch it on again.
Write a short mail to my team about the meeting tomorrow. Of course: here is a short mail that you can send.
What is the difference between a list and a tuple in Python? A list can be changed, a tuple cannot.
My invoice is wrong, I paid twice. I am sorry about that; we will send the money back within five days.
Which plan is the right one for a small company? With up to twenty people the team plan is the cheapest.
Sally has 3 apples and buys 4 more. How many apples does she have now? She has 3 + 4 = 7 apples.
system user assistant tool document
"""


def make_tiny_model(
    folder: Path, *, hidden: int = 64, layers: int = 2, vocabulary: int = 512, context: int = 2048, seed: int = 0
) -> Path:
    """Make a tiny instruct model with random weights, in the form that `tasks.lm.load.load` takes.

    Args:
        folder: where to save it.
        hidden: width; its quarter is the number of dimensions of each of four heads.
        layers: of the transformer.
        vocabulary: most tokens of its BPE tokenizer; every byte is one of them.
        context: most positions.
        seed: of the weights.

    Returns:
        `folder`.
    """
    tokenizer = make_tiny_tokenizer(vocabulary)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=context,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_tiny_tokenizer(vocabulary: int = 512) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer with a ChatML template, trained on a few lines."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD, BOS, EOS, START],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXT.splitlines(), trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        extra_special_tokens=[START],
    )
    fast.chat_template = TEMPLATE
    return fast
