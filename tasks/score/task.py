"""The door of scoring: scrubbed rows in, curated rows with their scores out."""

import shutil
from collections.abc import Sequence

import polars as pl
from prefect import task

from configs.settings import ScoreSettings
from storage.by_id import distinct
from storage.lake import Lake
from storage.publish import Books, StepOutput, run_step
from storage.snapshot import Snapshot
from tasks.score.domains import with_domains
from tasks.score.embeddings import embeddings
from tasks.score.models import model_scores
from tasks.score.place import Place
from tasks.text import signals
from tasks.text.conversation import last_answer, whole_text
from tasks.text.sealed import sealed_rows


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
    engine: str = "local",
) -> Snapshot:
    """Say what each unique row is worth; nothing is left out for low quality."""

    place = Place(lake.folder("work", f"score-{scrubbed.batch}"), engine)

    def work() -> StepOutput:
        rows, repeats = unique_rows(lake, scrubbed)
        text, answer = whole_text(), last_answer()
        scored = rows.with_columns(
            chars=signals.chars(text),
            repetition=signals.repetition(text),
            symbol_share=signals.symbol_share(text),
            refusal=signals.refusal(answer),
        )
        by_models = model_scores(lake, rows, place, scrubbed.batch, settings, model, seed) if rows.height else []
        scored = pl.concat([scored, *by_models], how="horizontal")
        sides = {"sealed": sealed_rows(rows, lake.secret())}
        if settings.embedding_model is not None:
            sides["embeddings"] = embeddings(lake, rows, settings.embedding_model, settings.embedding_endpoint)
        if settings.topics_as_domains:
            scored = with_domains(lake, scored, sides["embeddings"], seed)
        books = Books(rows.height + repeats, {"curated": rows.height, "duplicates": repeats})
        return StepOutput(scored, books, sides=sides)

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
    shutil.rmtree(place.folder)
    return snapshot


def unique_rows(lake: Lake, scrubbed: Snapshot) -> tuple[pl.DataFrame, int]:
    """The batch's conversations and documents that repeat no other, with their side, by id; how many do repeat one.

    Whether a row repeats another is looked up among the duplicates of all batches: feedback can bring a row that was
    found to be a duplicate long ago.
    """
    everything = lake.scan(scrubbed).filter(pl.col("origin") != "feedback").drop("batch", "step").collect()
    unique = everything.lazy().join(lake.read("duplicates").select("id"), on="id", how="anti")
    sides = distinct(lake.read("splits").select("id", "split"), "id")
    rows = unique.join(sides, on="id", how="left").sort("id").collect()
    return rows, everything.height - rows.height
