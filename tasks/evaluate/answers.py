"""What is measured of answers: each metric a function from a frame of answers to one value an answer.

A model answers the same prompts once, and its answers are kept (`ANSWERED`); all that is here is worked out from them
whenever a model is compared, so that a new metric costs no generation.
"""

import json
from collections.abc import Callable, Mapping

import polars as pl

from tasks.evaluate.references import bleu, exact, rouge_l, same_shape
from tasks.text.language import UNKNOWN, detect
from tasks.text.signals import refusal, repetition

ANSWERED = "answer_tokens"
"""The metric whose rows hold the answers themselves: how many tokens each has."""
Answers = pl.DataFrame
"""`item`, `prompt` (the last question), `answer`, `finished`, `reference` (the answer that somebody endorsed)."""


def written(rows: pl.DataFrame, items: pl.DataFrame) -> Answers:
    """The answers of one model.

    Args:
        rows: of schema `SCORE`; those of `ANSWERED` count.
        items: of schema `ITEM`, which have the references.
    """
    texts = rows.filter(metric=ANSWERED).select("item", "output").sort("item")
    shape = pl.Struct({"prompt": pl.String, "answer": pl.String, "finished": pl.Boolean})
    read = pl.Series("read", [json.loads(text) for text in texts["output"]], dtype=shape)
    references = items.select("item", reference=pl.col("messages").list.last().struct.field("content")).unique("item")
    return texts.select("item", read).unnest("read").join(references, on="item", how="left", maintain_order="left")


def stop_rate(answers: Answers) -> pl.Series:
    """1 where the model ended its turn by itself."""
    return answers["finished"].cast(pl.Float64)


def empty_rate(answers: Answers) -> pl.Series:
    """1 where it said nothing."""
    return (answers["answer"].str.strip_chars() == "").cast(pl.Float64)


def refusal_rate(answers: Answers) -> pl.Series:
    """1 where the answer opens with a refusal."""
    return answers.select(refusal(pl.col("answer")).cast(pl.Float64)).to_series()


def repeated(answers: Answers) -> pl.Series:
    """Share of word 3-grams that occurred before in the answer: a model that loops comes near 1."""
    return answers.select(repetition(pl.col("answer"))).to_series()


def language_match(answers: Answers) -> pl.Series:
    """1 where the answer is in the language of the prompt or has none (a number); null where the prompt has none."""
    asked, said = detect(answers["prompt"]), detect(answers["answer"])
    match = (asked == said) | (said == UNKNOWN)
    return pl.select(pl.when(asked != UNKNOWN).then(match.cast(pl.Float64))).to_series()


def _against_reference(measure: Callable[[str, str], float | None]) -> Callable[[Answers], pl.Series]:
    """A metric of the answer and the one that somebody endorsed; null where there is none."""

    def measured(answers: Answers) -> pl.Series:
        pairs = answers.select("answer", "reference").iter_rows()
        return pl.Series([measure(said, wanted) if wanted else None for said, wanted in pairs], dtype=pl.Float64)

    return measured


MEASURES: Mapping[str, Callable[[Answers], pl.Series]] = {
    "stop_rate": stop_rate,
    "empty_rate": empty_rate,
    "refusal_rate": refusal_rate,
    "language_match": language_match,
    "repetition": repeated,
    "exact_match": _against_reference(exact),
    "json_shape": _against_reference(same_shape),
    "bleu": _against_reference(bleu),
    "rouge_l": _against_reference(rouge_l),
}
"""Every metric of answers by its name; null stands for an answer that it says nothing about."""


def measures(answers: Answers) -> pl.DataFrame:
    """All metrics of all answers: `metric`, `item`, `value`; a row for each that says something."""
    if answers.is_empty():
        return pl.DataFrame(schema={"metric": pl.String, "item": pl.String, "value": pl.Float64})
    found = [
        pl.DataFrame({"item": answers["item"], "value": measure(answers)}).select(
            pl.lit(name).alias("metric"), pl.all()
        )
        for name, measure in MEASURES.items()
    ]
    return pl.concat(found).drop_nulls("value")
