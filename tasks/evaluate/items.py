"""What models are compared on: held-out items that somebody endorsed, general text, pairs, prompts.

Loss on whatever the logged model said would reward imitating it; so only answers count that a person endorsed: a
thumb up, a good rating, or the answer as the person rewrote it.

An item's id is a hash of all that its score depends on, so a score that is there already can be taken over.
"""

import json

import polars as pl

from configs.settings import EvaluateSettings
from storage.columns import MESSAGES
from storage.lake import Lake
from storage.snapshot import digest

ITEM = pl.Schema(
    {
        "metric": pl.String(),
        "item": pl.String(),
        "group": pl.String(),  # conversation and its duplicates: what the bootstrap resamples
        "slice": pl.String(),  # language
        "messages": MESSAGES,  # up to the answer that is scored; for answers to generate: up to the prompt
        "rejected": pl.String(),  # of pairs
    }
)
LOSSES = ("holdout_loss", "general_loss")
PAIRS = "preference_accuracy"
ANSWERS = "answers"

_ANSWER = pl.struct(
    role=pl.lit("assistant"),
    content=pl.col("chosen"),
    name=pl.lit(None, pl.String),
    tool_calls=pl.lit(None, pl.String),
    tool_call_id=pl.lit(None, pl.String),
)


def all_items(lake: Lake, settings: EvaluateSettings) -> pl.DataFrame:
    """Every item of every metric, at most `max_items` of each, chosen by their hashed ids: the same ones every time.

    Answers are asked for once a conversation, so that they are independent of each other.

    Returns:
        Rows of schema `ITEM`, without repetition, sorted by metric and item.
    """
    own = _endorsed(lake, settings.max_items)
    prompts = own.sort("id", "chosen").unique("group", keep="first", maintain_order=True).head(settings.samples)
    length = str(settings.max_tokens)
    parts = [
        _items("holdout_loss", own, length),
        _items("general_loss", _general(lake, settings.max_items), length),
        _items(PAIRS, _pairs(lake, settings.max_items), length),
        _items(ANSWERS, prompts.with_columns(messages=_before_answer()), str(settings.max_new_tokens)),
    ]
    return pl.concat(parts).unique(["metric", "item"]).sort("metric", "item")


def _endorsed(lake: Lake, limit: int) -> pl.DataFrame:
    """Held-out answers of our own traffic that more people liked than not, and those that somebody wrote."""
    judged = _preferences(lake)
    liked = (
        judged.filter(pl.col("kind") == "label")
        .group_by("target_id", "chosen")
        .agg(pl.col("prompt").first(), pl.col("label").mean())
        .filter(pl.col("label") > 0.5)
    )
    edited = judged.filter(pl.col("kind") == "pair", pl.col("origin") == "edit")
    columns = ("target_id", "prompt", "chosen")
    answers = pl.concat([liked.select(columns), edited.select(columns)])
    return _described(lake, answers, limit).with_columns(messages=_with_answer(), rejected=pl.lit(None, pl.String))


def _pairs(lake: Lake, limit: int) -> pl.DataFrame:
    """Held-out pairs of which a person preferred one."""
    pairs = _preferences(lake).filter(pl.col("kind") == "pair", pl.col("rejected").is_not_null())
    wanted = pairs.select("target_id", "prompt", "chosen", "rejected")
    return _described(lake, wanted, limit).with_columns(messages=_with_answer())


def _general(lake: Lake, limit: int) -> pl.DataFrame:
    """Held-out conversations and documents of the general domain."""
    rows = lake.read("curated").filter(pl.col("domain") == "general", pl.col("split") == "holdout")
    found = rows.select("id", "messages", slice=pl.col("language")).sort("id").head(limit)
    return _grouped(lake, found).collect().with_columns(rejected=pl.lit(None, pl.String))


def _preferences(lake: Lake) -> pl.LazyFrame:
    """What people, not models, preferred, on the held-out side."""
    return lake.read("preferences").filter(pl.col("split") == "holdout", pl.col("origin") != "best_of_n")


def _described(lake: Lake, rows: pl.LazyFrame, limit: int) -> pl.DataFrame:
    """`rows` with id, language and group of their target; targets of the general domain are left out."""
    own = lake.read("scrubbed").filter(pl.col("domain") != "general")
    own = own.select("id", slice=pl.col("language")).unique("id")
    found = rows.rename({"target_id": "id"}).join(own, on="id").sort("id", "chosen").head(limit)
    return _grouped(lake, found).collect()


def _grouped(lake: Lake, rows: pl.LazyFrame) -> pl.LazyFrame:
    groups = lake.read("splits").select("id", "group").unique("id")
    return rows.join(groups, on="id", how="left").with_columns(group=pl.coalesce("group", "id"))


def _with_answer() -> pl.Expr:
    return pl.concat_list(pl.col("prompt"), _ANSWER.cast(MESSAGES.inner))


def _before_answer() -> pl.Expr:
    return pl.col("messages").list.head(pl.col("messages").list.len() - 1)


def _items(metric: str, rows: pl.DataFrame, length: str) -> pl.DataFrame:
    """Rows as items, named by what their score depends on: text, and at which length it is cut."""
    names = [
        digest(metric, row["id"], json.dumps(row["messages"]), row["rejected"] or "", length)[:24]
        for row in rows.select("id", "messages", "rejected").iter_rows(named=True)
    ]
    named = rows.with_columns(metric=pl.lit(metric), item=pl.Series(names, dtype=pl.String))
    return named.select(pl.col(name).cast(kind) for name, kind in ITEM.items())
