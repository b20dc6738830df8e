"""What models are compared on: held-out items that somebody endorsed, general text, pairs, prompts.

Loss on whatever the logged model said would reward imitating it; so only answers count that a person endorsed: a
thumb up, a good rating, or the answer as the person rewrote it. And only answers that might be trained on: what fails
the rules of mixing (`mix.select`) would reward learning what nobody should learn, however many thumbs it has.

An item's id is a hash of all that its score depends on, so a score that is there already can be taken over.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from configs.settings import EvaluateSettings, SelectSettings
from storage.by_id import distinct
from storage.columns import MESSAGES, SCORES
from storage.lake import Lake
from storage.opinions import until
from storage.snapshot import digest
from tasks.text.rules import with_reason

ITEM = pl.Schema(
    {
        "metric": pl.String(),
        "item": pl.String(),
        "group": pl.String(),  # conversation and its duplicates: what the bootstrap resamples
        "since": pl.String(),  # batch that brought it
        "language": pl.String(),
        "domain": pl.String(),
        "source": pl.String(),
        "messages": MESSAGES,  # up to the answer that is scored; where one is to be generated, it is the reference
        "rejected": pl.String(),  # of pairs
    }
)
LOSSES = ("holdout_loss", "general_loss")
PAIRS = "preference_accuracy"
ANSWERS = "answers"
DESCRIBED = ("language", "domain", "source")
"""What slices go by."""

_ANSWER = pl.struct(
    role=pl.lit("assistant"),
    content=pl.col("chosen"),
    name=pl.lit(None, pl.String),
    tool_calls=pl.lit(None, pl.String),
    tool_call_id=pl.lit(None, pl.String),
)


@dataclass(frozen=True)
class Items:
    """What models are compared on.

    Args:
        rows: of schema `ITEM`, without repetition, sorted by metric and item.
        left_out: endorsed held-out answers that are no items, counted by the rule of mixing that leaves them out.
    """

    rows: pl.DataFrame
    left_out: Mapping[str, int]


def all_items(lake: Lake, batch: str, settings: EvaluateSettings, select: SelectSettings) -> Items:
    """Every item of every metric, at most `max_items` of each, chosen by their hashed ids: the same ones every time.

    Answers are asked for once a conversation, so that they are independent of each other. Half of the prompts are
    general: those no user can tamper with. The oldest prompts come first, so that they stay the same ones.

    Args:
        lake: where the tables are.
        batch: the newest batch that counts.
        settings: how many.
        select: the rules of mixing.
    """
    endorsed = _endorsed(lake, batch)
    unfit = endorsed.join(_unfit(lake, batch, select), on="id")
    own = endorsed.join(unfit, on="id", how="anti").sort("id", "chosen").head(settings.max_items)
    general = _general(lake, batch, settings.max_items)
    half = (settings.samples + 1) // 2
    asked = _once(own).head(half)
    asked = pl.concat([asked, _once(general).head(settings.samples - asked.height)], how="diagonal")
    length = str(settings.max_tokens)
    parts = [
        _items("holdout_loss", own, length),
        _items("general_loss", general, length),
        _items(PAIRS, _pairs(lake, batch, settings.max_items), length),
        _items(ANSWERS, asked, str(settings.max_new_tokens)),
    ]
    rows = pl.concat(parts).unique(["metric", "item"]).sort("metric", "item")
    return Items(rows, dict(unfit.group_by("reason").len().sort("reason").iter_rows()))


def _unfit(lake: Lake, batch: str, select: SelectSettings) -> pl.DataFrame:
    """Held-out rows that mixing would leave out, with the reason: `id`, `reason`."""
    curated = (
        until(lake.read("curated"), batch)
        .filter(pl.col("kind") == "conversation", pl.col("split").is_in(["train", "holdout"]))
        .select("id", "source", "language", "domain", "split", *SCORES)
    )
    return (
        with_reason(lake, curated, batch, select, answers=True)
        .filter(pl.col("split") == "holdout", pl.col("reason").is_not_null())
        .select("id", "reason")
        .collect()
    )


def _endorsed(lake: Lake, batch: str) -> pl.DataFrame:
    """Held-out answers of our own traffic that more people liked than not, and those that somebody wrote."""
    judged = _preferences(lake, batch)
    liked = (
        judged.filter(pl.col("kind") == "label")
        .group_by("target_id", "chosen")
        .agg(pl.col("prompt").first(), pl.col("label").mean(), since=pl.col("batch").min())
        .filter(pl.col("label") > 0.5)
    )
    edited = judged.filter(pl.col("kind") == "pair", pl.col("origin") == "edit").rename({"batch": "since"})
    columns = ("target_id", "prompt", "chosen", "since")
    answers = pl.concat([liked.select(columns), edited.select(columns)])
    return _described(lake, answers.collect()).with_columns(messages=_with_answer(), rejected=pl.lit(None, pl.String))


def _pairs(lake: Lake, batch: str, limit: int) -> pl.DataFrame:
    """Held-out pairs of which a person preferred one."""
    pairs = _preferences(lake, batch).filter(pl.col("kind") == "pair", pl.col("rejected").is_not_null())
    wanted = pairs.select("target_id", "prompt", "chosen", "rejected", since="batch")
    return _described(lake, wanted.collect()).sort("id", "chosen").head(limit).with_columns(messages=_with_answer())


def _general(lake: Lake, batch: str, limit: int) -> pl.DataFrame:
    """Held-out conversations and documents of the general domain."""
    curated = until(lake.read("curated"), batch)
    rows = curated.filter(pl.col("domain") == "general", pl.col("split") == "holdout")
    found = rows.select("id", "messages", *DESCRIBED, since="batch").sort("id").head(limit)
    return _grouped(lake, found.collect()).with_columns(rejected=pl.lit(None, pl.String))


def _preferences(lake: Lake, batch: str) -> pl.LazyFrame:
    """What people, not models, preferred, on the held-out side."""
    judged = until(lake.read("preferences"), batch)
    return judged.filter(pl.col("split") == "holdout", pl.col("origin") != "best_of_n")


def _described(lake: Lake, rows: pl.DataFrame) -> pl.DataFrame:
    """`rows` with id, slices and group of their target; targets of the general domain are left out."""
    scrubbed = lake.read("scrubbed").filter(pl.col("id").is_in(rows["target_id"].implode()))
    own = distinct(scrubbed.filter(pl.col("domain") != "general").select("id", *DESCRIBED), "id").collect()
    return _grouped(lake, rows.rename({"target_id": "id"}).join(own, on="id"))


def _grouped(lake: Lake, rows: pl.DataFrame) -> pl.DataFrame:
    splits = lake.read("splits").filter(pl.col("id").is_in(rows["id"].implode()))
    groups = distinct(splits.select("id", "group"), "id").collect()
    return rows.join(groups, on="id", how="left").with_columns(group=pl.coalesce("group", "id"))


def _once(rows: pl.DataFrame) -> pl.DataFrame:
    """The first answer of each conversation, the oldest ones first."""
    answered = rows.filter(pl.col("messages").list.last().struct.field("role") == "assistant")
    return answered.sort("since", "id").unique("group", keep="first", maintain_order=True)


def _with_answer() -> pl.Expr:
    return pl.concat_list(pl.col("prompt"), _ANSWER.cast(MESSAGES.inner))


def _items(metric: str, rows: pl.DataFrame, length: str) -> pl.DataFrame:
    """Rows as items, named by what their score depends on: text, and at which length it is cut."""
    names = [
        digest(metric, row["id"], json.dumps(row["messages"]), row["rejected"] or "", length)[:24]
        for row in rows.select("id", "messages", "rejected").iter_rows(named=True)
    ]
    named = rows.with_columns(metric=pl.lit(metric), item=pl.Series(names, dtype=pl.String))
    return named.select(pl.col(name).cast(kind) for name, kind in ITEM.items())
