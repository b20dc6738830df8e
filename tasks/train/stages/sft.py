"""Supervised fine-tuning: the loss is on the last answer and its end of turn, given all before it."""

from collections.abc import Mapping, Sequence
from typing import Any

from trl.trainer.sft_config import SFTConfig

from configs.settings import StageSettings
from tasks.lm.template import encode as encode_messages
from tasks.train.stages.contract import IGNORED, Example, Stage, labelled
from tasks.train.stages.cpt import trainer


def encode(row: Mapping[str, Any], tokenizer: Any, settings: StageSettings) -> Sequence[Example] | str:
    """The whole conversation as tokens, labels on the answer: the same tokens that evaluation scores."""
    encoded = encode_messages(tokenizer, [*row["prompt"], *row["completion"]], settings.max_length + 1)
    if len(encoded.input_ids) > settings.max_length:
        return "too_long"
    if not any(encoded.answer):
        return "nothing_to_train"
    labels = [token if trained else IGNORED for token, trained in zip(encoded.input_ids, encoded.answer, strict=True)]
    return [{"input_ids": encoded.input_ids, "labels": labels}]


STAGE = Stage("sft", encode, labelled, trainer, SFTConfig, packs=True)
