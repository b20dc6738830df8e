"""What a language model tells of a text: perplexity, loss of the answer, reward; one forward pass for all three."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from configs.settings import ScoreSettings
from tasks.lm.likelihood import Likelihoods, features, likelihoods
from tasks.lm.load import LanguageModel
from tasks.lm.remote import Endpoint, remote_likelihoods
from tasks.lm.reward import RewardHead
from tasks.lm.template import Encoded, TemplateError, encode, is_document

log = logging.getLogger(__name__)


def encode_all(
    lm: LanguageModel, conversations: Sequence[Sequence[Mapping[str, Any]]], max_tokens: int
) -> list[Encoded]:
    """Each conversation as tokens; one that the chat template refuses has none, and so gets no scores.

    Raises:
        TemplateError: the template refuses every single one: the fault is the template's.
    """
    rows, last_error = [], None
    for messages in conversations:
        try:
            rows.append(encode(lm.tokenizer, messages, max_tokens))
        except TemplateError as error:
            rows.append(Encoded([], [], []))
            last_error = error
    refused = sum(not row.input_ids for row in rows)
    if last_error is not None:
        if refused == len(rows):
            raise last_error
        log.warning("score: the chat template refuses %s of %s conversations: %s", refused, len(rows), last_error)
    return rows


def score_by_model(
    lm: LanguageModel,
    conversations: Sequence[Sequence[Mapping[str, Any]]],
    settings: ScoreSettings,
    head: RewardHead | None,
    label: str = "score",
) -> pl.DataFrame:
    """The model's scores, row by row.

    Perplexity is exp of the mean loss over what people and assistants wrote, the template's marks left out.

    Args:
        lm: the model.
        conversations: lists of messages.
        settings: how many tokens count, and how many fit into a batch.
        head: the reward head that belongs to this model, or None.
        label: what the progress line says.

    Returns:
        `reward`, and if the settings want them `perplexity`, `answer_loss` (nats per token) and `ifd`; null where there
        is nothing to score.
    """
    encoded = encode_all(lm, conversations, settings.max_tokens)
    found = losses(lm, encoded, settings, pooled=head is not None, label=label)
    perplexity = np.exp(_mean(found.text_loss, found.text_tokens))
    documents = np.array([is_document(messages) for messages in conversations], dtype=bool)
    has_answer = (found.answer_tokens > 0) & ~documents
    answer_loss = np.where(has_answer, _mean(found.answer_loss, found.answer_tokens), np.nan)
    reward = np.full(len(encoded), np.nan)
    if head is not None and found.pooled is not None:
        reward = np.where(has_answer, head.score(found.pooled), np.nan)
    columns = {"reward": reward}
    if settings.perplexity:
        columns |= {"perplexity": perplexity, "answer_loss": answer_loss}
    if settings.perplexity and settings.ifd:
        columns["ifd"] = answer_loss / loss_alone(lm, encoded, settings, f"{label}, answers alone")
    return pl.DataFrame(columns).fill_nan(None)


def losses(
    lm: LanguageModel, rows: Sequence[Encoded], settings: ScoreSettings, label: str, *, pooled: bool = False
) -> Likelihoods:
    """Losses of all rows, from the endpoint if the settings name one, else from the model in this process."""
    if settings.endpoint is None:
        return likelihoods(lm, rows, settings.token_budget, pooled=pooled, label=label)
    endpoint = Endpoint(settings.endpoint.rstrip("/"), "score.endpoint", settings.endpoint_model)
    found = remote_likelihoods(endpoint, rows, label)
    return replace(found, pooled=features(lm, rows, settings.token_budget, label)) if pooled else found


def loss_alone(lm: LanguageModel, rows: Sequence[Encoded], settings: ScoreSettings, label: str) -> np.ndarray:
    """Nats per token of the last answers when nothing but the start of a text comes before them.

    The loss given the prompt over this one is the instruction-following difficulty (IFD): Li et al. 2023, From Quantity
    to Quality, https://arxiv.org/abs/2308.12032.
    """
    tokenizer = lm.tokenizer
    start = tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
    answers = [[token for token, on in zip(row.input_ids, row.answer, strict=True) if on] for row in rows]
    masks = [[False] + [True] * len(answer) for answer in answers]
    alone = [Encoded([start, *answer], mask, mask) for answer, mask in zip(answers, masks, strict=True)]
    found = losses(lm, alone, settings, label)
    return _mean(found.answer_loss, found.answer_tokens)


def _mean(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Not a number where nothing was counted."""
    return np.asarray(np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0))
