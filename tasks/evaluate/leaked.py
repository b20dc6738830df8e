"""Held-out items that a model was trained on before they were held out: they test nothing and leave the evaluation.

Mixing keeps out what gives away the holdout of its day. But logs repeat themselves: a row that is held out tonight may
say what a model learned last week. So items are looked up in everything that the compared models and their ancestors
were trained on, by the same rules as when mixing (`tasks.text.contamination`).
"""

from collections.abc import Sequence

import polars as pl

from storage.by_id import distinct
from storage.lake import Lake
from storage.registry import Model, ancestors
from tasks.text.contamination import contaminated, index_of
from tasks.text.conversation import contents, dialogue, user_text
from tasks.text.sealed import sealed_rows


def leaked(lake: Lake, items: pl.DataFrame, models: Sequence[Model]) -> pl.Series:
    """The items that one of the models was trained on.

    Args:
        lake: where mixtures are.
        items: `item`, `messages`.
        models: what is compared.

    Returns:
        Values of `item`, without repetition.
    """
    trained = _trained(lake, models)
    held_out = items.select("messages", id="item", split=pl.lit("holdout")).unique("id", maintain_order=True)
    index = index_of(sealed_rows(held_out, lake.secret()))
    found = [contaminated(trained[column], index, lake.secret())["item"] for column in ("asked", "whole")]
    return pl.concat(found).str.strip_suffix("/said").unique(maintain_order=True).alias("item")


def _trained(lake: Lake, models: Sequence[Model]) -> pl.DataFrame:
    """`asked`, `whole`: what users asked in the rows that models and ancestors read, and all that was said."""
    mixtures = {step.mixture for model in models for step in ancestors(lake, model) if step.mixture}
    answers = [contents(column).list.join("\n") for column in ("completion", "chosen", "rejected")]
    said = pl.concat_str(dialogue("prompt"), *answers, separator="\n", ignore_nulls=True)
    rows = distinct(lake.read("mixtures").filter(pl.col("batch").is_in(sorted(mixtures))), "id", "stage")
    return rows.select(asked=pl.coalesce("text", user_text("prompt")), whole=pl.coalesce("text", said)).collect()
