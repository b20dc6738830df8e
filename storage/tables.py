"""Every table of the lake: its columns, and who writes it.

All tables begin with `id`, `batch` and `step`: a batch's rows of one step are replaced as one (see `storage.publish`).
JSON goes in `String` columns: free-form structs make schemas drift, and Delta has no type for them.
Delta has no unsigned 64-bit and no Null type: hashes are `Int64` or `Binary`, and every column is typed here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from storage.columns import CONVERSATION, ENTITY, FINDING, KEYS, MESSAGES, SCORES, TIME


@dataclass(frozen=True)
class Table:
    """A table of the lake.

    Args:
        holds: what a row is, in one sentence.
        columns: the columns after `id`, `batch`, `step`.
        about: columns that name what a row comes from: when one of the ids, conversations or users in them is erased,
            the row goes too. Every table must say it; none means that nothing of any person is in it.
        raw: columns with unscrubbed text: only who may see `interactions` may see them, and retention empties them.
        partitions: columns whose values part its files, so that who asks for some of them reads no others.
    """

    holds: str
    columns: Mapping[str, pl.DataType]
    about: Sequence[str]
    raw: Sequence[str] = ()
    partitions: Sequence[str] = ()

    @property
    def schema(self) -> pl.Schema:
        """All columns, keys first."""
        return pl.Schema({**KEYS, **self.columns})


TABLES: Mapping[str, Table] = {
    "sources": Table(
        "Which bytes of which input belong to which batch; written before the batch is read.",
        {
            "source": pl.String(),
            "uri": pl.String(),
            "start": pl.Int64(),
            "end": pl.Int64(),
            "digest": pl.String(),  # of the bytes before `end`: tells a grown file from a replaced one
            "stamp": pl.String(),  # of the whole file when planned: an unchanged one is not opened again
            "planned_at": TIME,  # retention counts from here
        },
        about=(),
    ),
    "interactions": Table(
        "What was collected, in one canonical shape.",
        {**CONVERSATION, "user_hash": pl.String(), "consent": pl.Boolean(), "metadata": pl.String()},
        about=("id", "conversation_id", "user_hash"),
        raw=("messages", "tools", "metadata"),
    ),
    "quarantine": Table(
        "Input that could not be used, as it came, with the reason.",
        {
            "source": pl.String(),
            "uri": pl.String(),  # the file it stood in, and `position` its line there
            "position": pl.Int64(),
            "reason": pl.String(),
            "content": pl.String(),
        },
        about=("id",),
        raw=("content",),
    ),
    "feedback": Table(
        "Thumbs, ratings, edits, regenerations, comparisons and comments that point at an interaction.",
        {
            "target_id": pl.String(),
            "kind": pl.String(),  # thumb | rating | edit | regenerate | comparison | comment
            "value": pl.Float64(),  # thumb: 1 or -1; rating: 0 to 1
            "preferred": pl.String(),
            "rejected": pl.String(),
            "comment": pl.String(),
            "user_hash": pl.String(),
            "occurred_at": TIME,
            "source": pl.String(),
        },
        about=("id", "target_id", "user_hash"),
        raw=("preferred", "rejected", "comment"),
    ),
    "duplicates": Table(
        "Which row repeats which: `id` is left out, `kept_id` stays.",
        {"kept_id": pl.String(), "similarity": pl.Float64(), "reason": pl.String()},
        about=("id", "kept_id"),
    ),
    "signatures": Table(
        "The dedupe index: keyed hashes only, no text. A row for every text that no earlier one equals.",
        {
            "kept_id": pl.String(),  # the row that stays: itself, or the one it nearly repeats
            "scheme": pl.String(),  # how the hashes were made; only equal ones can be compared
            "meta": pl.Binary(),  # tasks.dedupe.scheme.META
            "keys": pl.Binary(),  # uint64: the buckets it falls into
            "sketch": pl.Binary(),  # uint32: its shingles
        },
        about=("id", "kept_id"),
    ),
    "scrubbed": Table(
        "Conversations and feedback texts without personal data or secrets.",
        {
            **CONVERSATION,
            "origin": pl.String(),  # user | synthetic | feedback
            "entities": pl.List(ENTITY),
        },
        about=("id", "conversation_id"),
    ),
    "placeholders": Table(
        "Which placeholder an entity has in a conversation: keyed hashes only, no text. `id` is the entity's.",
        {"conversation": pl.String(), "placeholder": pl.String()},
        about=("conversation",),
    ),
    "findings": Table(
        "What was found in a paragraph, so that it need not be looked at again: keyed hashes and offsets, no text.",
        {"settings": pl.String(), "spans": pl.List(FINDING)},
        about=("batch",),
    ),
    "splits": Table(
        "Which side of the split a row is on, for ever.",
        {"group": pl.String(), "split": pl.String()},  # train | validation | holdout | bridges_split
        about=("id",),
    ),
    "curated": Table(
        "Scrubbed, unique conversations with their scores. Nothing is left out for low quality here.",
        {
            **CONVERSATION,
            "origin": pl.String(),
            "entities": pl.List(ENTITY),
            "split": pl.String(),
            **SCORES,
            "month": pl.String(),  # of occurred_at: 2026-03
        },
        about=("id", "conversation_id"),
        partitions=("domain", "month"),
    ),
    "embeddings": Table(
        "Where the text of a curated row lies among others; only with score.embedding_model.",
        {
            "model": pl.String(),  # digest of its configuration and weights: only vectors of one model can be compared
            "key": pl.String(),  # keyed hash of model and text: an equal text is not embedded again
            "vector": pl.List(pl.Float32()),  # of length 1
        },
        about=("id",),
    ),
    "synthetic": Table(
        "Generated conversations, with how they came about.",
        {
            **CONVERSATION,
            "user_hash": pl.String(),
            "consent": pl.Boolean(),
            "metadata": pl.String(),
            "method": pl.String(),
            "seed_ids": pl.List(pl.String()),
            "sampling": pl.String(),  # JSON
            "prompt_of": pl.String(),  # the seed whose prompt it has word for word: only the answer is new
        },
        about=("id", "seed_ids"),
    ),
    "sealed": Table(
        "What models are tested on, as keyed hashes of its words: nothing else of it may be known when mixing.",
        {
            "exact": pl.Int64(),  # of the whole text
            "grams": pl.List(pl.Int64()),  # of its 8-grams, see tasks.text.contamination
        },
        about=("id",),
    ),
    "preferences": Table(
        "What somebody liked better: pairs, or single answers with a label.",
        {
            "kind": pl.String(),  # pair | label
            "origin": pl.String(),  # edit | regenerate | comparison | thumb | rating | review | best_of_n
            "target_id": pl.String(),  # the interaction it is about
            "split": pl.String(),
            "prompt": MESSAGES,
            "chosen": pl.String(),
            "rejected": pl.String(),
            "label": pl.Boolean(),  # for labels: liked, of the answer in `chosen`
            "model": pl.String(),  # who wrote the rejected answer
            "off_policy": pl.Boolean(),  # of best_of_n: not written by the model that DPO started from that night
        },
        about=("id", "target_id"),
    ),
    "reviews": Table(
        "What people decided about rows when they looked at them; the newest decision on a row counts.",
        {
            "target_id": pl.String(),
            "decision": pl.String(),  # keep | drop
            "reviewer": pl.String(),
            "decided_at": TIME,
            **dict.fromkeys(("relevance", "accuracy", "fluency", "completeness", "safety"), pl.Int64()),  # 1 to 5
        },
        about=("target_id",),
    ),
    "mixtures": Table(
        "What a training reads, row by row; `batch` is the mixture's id.",
        {
            "stage": pl.String(),  # as in the settings
            "replay": pl.Boolean(),  # there against forgetting, not to be learned
            "source": pl.String(),
            "comes_from": pl.List(pl.String()),  # of a row of a file: whose it is, which no other table says
            "text": pl.String(),
            "prompt": MESSAGES,
            "completion": MESSAGES,  # what is learned; where the model answers itself, a reference, if there is one
            "chosen": MESSAGES,
            "rejected": MESSAGES,
            "tokens": pl.Int64(),
            "trained_tokens": pl.Int64(),
        },
        about=("id", "comes_from"),
    ),
    "manifests": Table(
        "What a mixture is made of; `batch` is the mixture's id.",
        {"stage": pl.String(), "rows": pl.Int64(), "trained_tokens": pl.Int64(), "manifest": pl.String()},
        about=(),
    ),
    "models": Table(
        "Every model with its parent and mixture.",
        {
            "kind": pl.String(),  # lm | reward | head
            "stage": pl.String(),  # base, or as in the settings
            "parent": pl.String(),
            "mixture": pl.String(),
            "path": pl.String(),
            "template_hash": pl.String(),
            "settings": pl.String(),  # JSON
            "metrics": pl.String(),  # JSON: loss of each step, tokens, seconds
            "created_at": TIME,
        },
        about=(),
    ),
    "evaluations": Table(
        "The score of one model on one item by one metric.",
        {
            "model": pl.String(),
            "metric": pl.String(),
            "item": pl.String(),
            "group": pl.String(),  # conversation: what the bootstrap resamples
            "since": pl.String(),  # batch that brought the item
            "language": pl.String(),  # of the item, as are
            "domain": pl.String(),
            "source": pl.String(),
            "value": pl.Float64(),
            "weight": pl.Float64(),
            "output": pl.String(),
        },
        about=("group",),
    ),
    "promotions": Table(
        "Every verdict with its reasons; the newest promoted row names the champion.",
        {
            "sequence": pl.Int64(),
            "model": pl.String(),
            "champion": pl.String(),  # before the verdict
            "verdict": pl.String(),  # promote | hold | reject | wait | decline | rollback
            "reasons": pl.List(pl.String()),
            "evidence": pl.String(),  # JSON: each metric with its interval
            "decided_at": TIME,
        },
        about=(),
    ),
    "rollouts": Table(
        "What followed a change of champion: who was told, and whether it answers where it is served.",
        {
            "decision": pl.String(),  # id of the row in promotions
            "model": pl.String(),
            "what": pl.String(),  # a hook; or where it is served
            "ok": pl.Boolean(),
            "said": pl.String(),
            "at": TIME,
        },
        about=(),
    ),
    "books": Table(
        "What went in and came out of each step: in = the sum of out.",
        {"kind": pl.String(), "name": pl.String(), "value": pl.Float64()},  # in | out | fact
        about=(),
    ),
    "runs": Table(
        "When a run began on a batch, from which champion, and when it ended.",
        {"settings_hash": pl.String(), "champion": pl.String(), "at": TIME},
        about=(),
    ),
    "erasures": Table(
        "Who and what was erased, as keyed hashes only, so that it stays out when it is collected again.",
        {"kind": pl.String(), "at": TIME},  # row | conversation | user; done: nothing of this erasure is left
        about=(),
    ),
}

STATISTICS = ("id", "batch", "step", "occurred_at", "domain", "language", "stage", "split")
"""Columns whose minima and maxima Delta may write into its log: never text (an erased text would live on there)."""
