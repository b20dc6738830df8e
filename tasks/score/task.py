"""The door of scoring: scrubbed rows in, curated rows with their scores out."""

from collections.abc import Sequence
from functools import cache

import polars as pl
from prefect import task

from configs.settings import ScoreSettings
from storage.lake import Lake
from storage.publish import Books, StepOutput, run_step
from storage.snapshot import Snapshot
from tasks.lm.load import LanguageModel, load
from tasks.score import signals
from tasks.score.by_model import score_by_model
from tasks.score.reward import reward_head
from tasks.score.sealed import sealed_rows
from tasks.text.conversation import last_answer, whole_text


@task(name="score", persist_result=False)
def score(
    lake: Lake,
    scrubbed: Snapshot,
    duplicates: Sequence[Snapshot],
    splits: Snapshot,
    preferences: Snapshot | None,
    settings: ScoreSettings,
    model: str,
    seed: int,
) -> Snapshot:
    """Say what each unique row is worth; nothing is left out for low quality."""

    def work() -> StepOutput:
        rows, repeats = unique_rows(lake, scrubbed)
        text, answer = whole_text(), last_answer()
        scored = rows.with_columns(
            chars=signals.chars(text),
            repetition=signals.repetition(text),
            symbol_share=signals.symbol_share(text),
            refusal=signals.refusal(answer),
        )
        if rows.height and (settings.perplexity or settings.reward):
            scored = pl.concat(
                [scored, _by_model(lake, scored, scrubbed.batch, settings, model, seed)], how="horizontal"
            )
        books = Books(rows.height + repeats, {"curated": rows.height, "duplicates": repeats})
        return StepOutput(scored, books, sides={"sealed": sealed_rows(rows, lake.secret())})

    return run_step(
        lake,
        step="score",
        batch=scrubbed.batch,
        table="curated",
        settings=[settings],
        inputs=[scrubbed, *duplicates, splits, *([preferences] if preferences else [])],
        work=work,
        extra=[model, str(seed)],
    )


def unique_rows(lake: Lake, scrubbed: Snapshot) -> tuple[pl.DataFrame, int]:
    """The batch's conversations and documents that repeat no other, with their side, by id; how many do repeat one.

    Whether a row repeats another is looked up among the duplicates of all batches: feedback can bring a row that was
    found to be a duplicate long ago.
    """
    everything = lake.scan(scrubbed).filter(pl.col("origin") != "feedback").drop("batch", "step").collect()
    unique = everything.lazy().join(lake.read("duplicates").select("id"), on="id", how="anti")
    sides = lake.read("splits").select("id", "split").unique("id")
    rows = unique.join(sides, on="id", how="left").sort("id").collect()
    return rows, everything.height - rows.height


def _by_model(
    lake: Lake, rows: pl.DataFrame, batch: str, settings: ScoreSettings, model: str, seed: int
) -> pl.DataFrame:
    @cache
    def open_model() -> LanguageModel:
        return load(model)

    head = reward_head(lake, batch, model, open_model, settings, seed) if settings.reward else None
    if head is None and not settings.perplexity:
        return pl.DataFrame()
    return score_by_model(open_model(), rows["messages"].to_list(), settings, head)
