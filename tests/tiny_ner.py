"""A tiny token classifier that knows a few names, made on the spot in two seconds: any engine's API, real answers."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertForTokenClassification, PreTrainedTokenizerFast

LABELS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
PEOPLE = ("Zora Quill", "Ivo Brandt", "Mina Okoro", "Lev Antonov")
PLACES = ("Norwold", "Ostheim", "Vellamar")
FRAMES = ("{who} lives in {where} .", "please call {who} now", "in {where} it rains , says {who}", "ask {who} about it")
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")


def make_tiny_ner(folder: Path, *, context: int = 64) -> Path:
    """Make and train a token classifier that finds `PEOPLE` and `PLACES`.

    Args:
        folder: where to save it.
        context: most tokens of one pass.

    Returns:
        `folder`.
    """
    examples = [_example(frame, who, where) for frame in FRAMES for who in PEOPLE for where in PLACES]
    words = sorted({word for sentence, _ in examples for word in sentence})
    tokenizer = make_word_tokenizer(words, context)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=context,
        id2label=dict(enumerate(LABELS)),
        label2id={label: n for n, label in enumerate(LABELS)},
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = BertForTokenClassification(config)
        _train(model, tokenizer, examples)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_word_tokenizer(words: list[str], context: int) -> PreTrainedTokenizerFast:
    """A tokenizer of whole words in small letters; words that it does not know are [UNK]."""
    vocabulary = {word: n for n, word in enumerate((*SPECIAL, *dict.fromkeys(word.lower() for word in words)))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=context,
    )


def _example(frame: str, who: str, where: str) -> tuple[list[str], list[int]]:
    words: list[str] = []
    labels: list[int] = []
    for word in frame.split():
        name, first = {"{who}": (who, 1), "{where}": (where, 3)}.get(word, (word, 0))
        for n, part in enumerate(name.split()):
            words.append(part)
            labels.append(first + min(n, 1) if first else 0)
    return words, labels


def _train(
    model: BertForTokenClassification, tokenizer: PreTrainedTokenizerFast, examples: list[tuple[list[str], list[int]]]
) -> None:
    batch = tokenizer([words for words, _ in examples], is_split_into_words=True, padding=True, return_tensors="pt")
    size = batch["input_ids"].shape[1]
    labels = torch.tensor([[0, *each, *[0] * (size - len(each) - 1)] for _, each in examples])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(30):
        optimizer.zero_grad()
        model(**batch, labels=labels).loss.backward()
        optimizer.step()
    model.eval()
