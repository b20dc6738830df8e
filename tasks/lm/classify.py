"""Texts and answers under a sequence-classification model: how likely each is what the model was trained to find."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils import logging as transformers_logging

from storage.progress import progress
from tasks.lm.likelihood import length_batches, padded
from tasks.lm.load import resolve
from tasks.lm.template import TemplateError, encode

log = logging.getLogger(__name__)
PAD = 0  # where neither model nor tokenizer names a token to pad with
MULTI_LABEL = "multi_label_classification"


@dataclass(frozen=True)
class Classifier:
    """A sequence-classification model with its tokenizer; see `load_classifier`."""

    model: Any
    tokenizer: Any
    folder: Path


def load_classifier(name_or_path: str) -> Classifier:
    """Load a model: bfloat16 on a GPU, float32 on a CPU.

    Raises:
        MissingModelError: no such model.
    """
    folder = resolve(name_or_path)
    transformers_logging.disable_progress_bar()
    cuda = torch.cuda.is_available()
    dtype = torch.bfloat16 if cuda else torch.float32
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=dtype)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    if model.config.pad_token_id is None:  # by it a decoder tells where each text of a batch ends
        model.config.pad_token_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else PAD
    return Classifier(model.to("cuda" if cuda else "cpu").eval(), tokenizer, folder)


def probabilities(
    classifier: Classifier, texts: Sequence[str], label: str, *, max_tokens: int, token_budget: int = 4096
) -> np.ndarray:
    """How likely each text has a label (n, 0 to 1).

    A model of a single output says so by its sigmoid, one of labels that exclude each other by their softmax, one of
    several labels by the sigmoid of this one.

    Args:
        classifier: the model.
        texts: any texts; longer ones are cut at their ends.
        label: part of the label's name, such as "toxic"; where no label has it, the last one is meant. A name that
            begins with "non" or "not" means the opposite.
        max_tokens: of a text.
        token_budget: tokens of a batch, padding included.
    """
    most = _most(classifier, max_tokens)
    encoded = [classifier.tokenizer(text, truncation=True, max_length=most)["input_ids"] for text in texts]
    return _classified(classifier, encoded, label, token_budget)


def rewards(
    classifier: Classifier,
    conversations: Sequence[Sequence[Mapping[str, Any]]],
    *,
    max_tokens: int,
    token_budget: int = 4096,
) -> np.ndarray:
    """How good a reward model finds the answer that each conversation ends with (n, 0 to 1; not a number without one).

    The sigmoid of its output: in the model of Bradley and Terry (1952) the probability that the answer is preferred to
    one of reward 0.

    Args:
        classifier: a model of one output (or with a label "reward"), with a chat template of its own.
        conversations: lists of messages; what is too long loses the beginning of its prompt.
        max_tokens: of a conversation.
        token_budget: tokens of a batch, padding included.

    Raises:
        TemplateError: the model has no chat template, or it refuses every conversation.
    """
    encoded = encode_answers(classifier.tokenizer, conversations, _most(classifier, max_tokens))
    return _classified(classifier, encoded, "reward", token_budget)


def encode_answers(
    tokenizer: Any, conversations: Sequence[Sequence[Mapping[str, Any]]], max_tokens: int
) -> list[list[int]]:
    """The tokens by which a reward model judges the answer that each conversation ends with; none without an answer.

    Raises:
        TemplateError: the tokenizer has no chat template, or it refuses every conversation.
    """
    encoded: list[list[int]] = []
    error: TemplateError | None = None
    for messages in conversations:
        has_answer = bool(messages) and messages[-1]["role"] == "assistant"
        try:
            encoded.append(encode(tokenizer, messages, max_tokens).input_ids if has_answer else [])
        except TemplateError as refusal:
            encoded.append([])
            error = refusal
    if error is not None and not any(encoded):
        raise error
    return encoded


def _most(classifier: Classifier, max_tokens: int) -> int:
    return min(max_tokens, getattr(classifier.model.config, "max_position_embeddings", None) or max_tokens)


def _classified(classifier: Classifier, encoded: Sequence[list[int]], label: str, token_budget: int) -> np.ndarray:
    model, pad = classifier.model, classifier.model.config.pad_token_id
    found = np.full(len(encoded), np.nan)
    batches = list(length_batches([len(ids) for ids in encoded], token_budget))
    with torch.inference_mode():
        for batch in progress(batches, len(batches), f"score: {label}", "batches"):
            rows = [encoded[at] for at in batch]
            ids = padded(rows, pad).to(model.device)
            mask = padded([[1] * len(row) for row in rows], 0).to(model.device)
            found[batch] = _of_label(model, model(input_ids=ids, attention_mask=mask).logits.float().cpu(), label)
    return found


def _of_label(model: Any, logits: torch.Tensor, label: str) -> np.ndarray:
    """Logits (n x labels) to the probability of one label (n)."""
    if logits.shape[1] == 1:
        return np.asarray(logits[:, 0].sigmoid().numpy())
    names = [str(model.config.id2label[at]).lower() for at in range(logits.shape[1])]
    meant = [at for at, name in enumerate(names) if label in name and not name.startswith(("non", "not"))]
    each = logits.sigmoid() if model.config.problem_type == MULTI_LABEL else logits.softmax(1)
    return np.asarray(each[:, meant[0] if meant else -1].numpy())
