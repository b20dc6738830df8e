"""The door of scoring: scrubbed rows in, curated rows with their scores out."""

import shutil
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import polars as pl
from prefect import task

from configs.settings import ScoreSettings
from storage.lake import Lake
from storage.publish import Books, StepOutput, run_step
from storage.snapshot import Snapshot, digest
from tasks.lm.load import LanguageModel, load
from tasks.score import signals
from tasks.score.by_model import score_by_model
from tasks.score.resume import in_parts
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

    folder = lake.folder("work", f"score-{scrubbed.batch}")

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
            by_model = _by_model(lake, scored, folder, scrubbed.batch, settings, model, seed)
            scored = pl.concat([scored, by_model], how="horizontal")
        books = Books(rows.height + repeats, {"curated": rows.height, "duplicates": repeats})
        return StepOutput(scored, books, sides={"sealed": sealed_rows(rows, lake.secret())})

    snapshot = run_step(
        lake,
        step="score",
        batch=scrubbed.batch,
        table="curated",
        settings=[settings],
        inputs=[scrubbed, *duplicates, splits, *([preferences] if preferences else [])],
        work=work,
        extra=[model, str(seed)],
    )
    shutil.rmtree(folder)
    return snapshot


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
    lake: Lake, rows: pl.DataFrame, folder: Path, batch: str, settings: ScoreSettings, model: str, seed: int
) -> pl.DataFrame:
    """The model's scores of `rows`; no columns when there is nothing to calculate. The model is loaded when needed."""

    @cache
    def open_model() -> LanguageModel:
        return load(model)

    head = reward_head(lake, batch, model, open_model, settings, seed) if settings.reward else None
    if head is None and not settings.perplexity:
        return pl.DataFrame()

    def score_part(part: pl.DataFrame, label: str) -> pl.DataFrame:
        return score_by_model(open_model(), part["messages"].to_list(), settings, head, label)

    identity = digest(model, settings.model_dump_json(), b"" if head is None else head.weights.tobytes())
    return in_parts(rows.select("id", "messages"), folder, identity, score_part)
