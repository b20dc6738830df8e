"""Columns that several tables share: what a conversation is, and what is said about one."""

from collections.abc import Mapping

import polars as pl

TIME = pl.Datetime("us", "UTC")

MESSAGE = pl.Struct(
    {
        "role": pl.String,
        "content": pl.String,
        "name": pl.String,
        "tool_calls": pl.String,
        "tool_call_id": pl.String,
    }
)
"""One turn. `role` is system, user, assistant, tool or document; `tool_calls` is the API's list as JSON text."""
MESSAGES = pl.List(MESSAGE)

ENTITY = pl.Struct({"type": pl.String, "count": pl.Int64})
FINDING = pl.Struct({"start": pl.Int64, "end": pl.Int64, "type": pl.String, "score": pl.Float64})

KEYS: Mapping[str, pl.DataType] = {"id": pl.String(), "batch": pl.String(), "step": pl.String()}

CONVERSATION: Mapping[str, pl.DataType] = {
    "kind": pl.String(),  # conversation | document
    "source": pl.String(),  # name of the source in the settings, or "synthetic"
    "occurred_at": TIME,
    "conversation_id": pl.String(),
    "messages": MESSAGES,
    "tools": pl.String(),  # JSON
    "model": pl.String(),  # who answered
    "language": pl.String(),  # ISO 639-1, or "und"
    "domain": pl.String(),  # "general" is the replay against forgetting
}
"""What a conversation is, in every table that holds one."""

SCORES: Mapping[str, pl.DataType] = {
    "chars": pl.Int64(),
    "repetition": pl.Float64(),  # share of repeated word 3-grams, 0 to 1
    "symbol_share": pl.Float64(),  # share of characters that are neither letters, digits nor spaces
    "refusal": pl.Boolean(),
    "perplexity": pl.Float64(),  # of the whole text under the base model
    "answer_loss": pl.Float64(),  # nats per token of the last answer, given what came before
    "ifd": pl.Float64(),  # answer_loss over the loss of the answer alone: near 1, the prompt does not help
    "reward": pl.Float64(),  # probability that a user likes the answer, 0 to 1; null without enough feedback
    "scored_by": pl.String(),  # digest of the text and of all that the model's scores above depend on
    "toxicity": pl.Float64(),  # probability that the text is toxic; null without a model for it
    "judged_by": pl.String(),  # digest of the text and of the model that toxicity is from
    "rewarded_by": pl.String(),  # the same of a reward model; null where the reward is the head's
}
