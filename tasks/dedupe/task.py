"""Step 2: exact and near duplicates, among a batch and against everything kept before."""

from collections.abc import Iterator

import polars as pl
from prefect import task

from configs.settings import DedupeSettings
from storage.lake import Lake
from storage.publish import Books, StepOutput, run_step
from storage.snapshot import Snapshot
from tasks.dedupe.batch import sign_batch
from tasks.dedupe.find import Found, find
from tasks.dedupe.index import FOLDER, open_index, scheme
from tasks.text.conversation import last_answer, user_text, whole_text

CHUNK = 16_384


@task(name="dedupe", persist_result=False)
def dedupe(lake: Lake, rows: Snapshot, settings: DedupeSettings, engine: str = "local") -> Snapshot:
    """Find the rows that repeat, exactly or nearly, one of their batch or one kept before.

    Rows without consent take no part: they are neither kept instead of another nor remembered.

    Args:
        lake: where the tables are.
        rows: interactions or synthetic conversations.
        settings: what is compared, and how similar duplicates are.
        engine: where texts are signed: local or ray.

    Returns:
        The `duplicates` of the batch; its `signatures` are in the index.
    """

    def work() -> StepOutput:
        consenting = pl.col("consent").fill_null(True)
        everything = lake.scan(rows)
        found = _find(lake, everything.filter(consenting), rows.batch, "dedupe", settings, engine, near=True)
        total, refused = everything.select(pl.len(), refused=(~consenting).sum()).collect().row(0)
        return _output(found, total, no_consent=refused)

    return run_step(
        lake, step="dedupe", batch=rows.batch, table="duplicates", settings=[settings], inputs=[rows], work=work
    )


@task(name="dedupe_scrubbed", persist_result=False)
def dedupe_scrubbed(lake: Lake, scrubbed: Snapshot, settings: DedupeSettings, engine: str = "local") -> Snapshot:
    """Find the rows that became equal to another by scrubbing ("I am <PERSON>"), in their batch or before.

    Args:
        lake: where the tables are.
        scrubbed: scrubbed rows; feedback texts among them take no part.
        settings: what is compared.
        engine: where texts are signed: local or ray.

    Returns:
        The `duplicates` of the batch that were found here, reason scrubbed_exact.
    """

    def work() -> StepOutput:
        conversations = lake.scan(scrubbed).filter(pl.col("origin") != "feedback")
        ids = conversations.select("id").collect()["id"]
        known = _final(lake, ids, scrubbed.batch, "dedupe_scrubbed")["id"]
        found = _find(
            lake, conversations.filter(~pl.col("id").is_in(known.implode())), scrubbed.batch, "dedupe_scrubbed",
            settings, engine, near=False,
        )  # fmt: skip
        renamed = found.duplicates.with_columns(reason=pl.lit("scrubbed_exact"))
        return _output(Found(renamed, found.signatures), len(ids), duplicates_before=len(known))

    return run_step(
        lake,
        step="dedupe_scrubbed",
        batch=scrubbed.batch,
        table="duplicates",
        settings=[settings],
        inputs=[scrubbed],
        work=work,
    )


def _find(
    lake: Lake, rows: pl.LazyFrame, batch: str, step: str, settings: DedupeSettings, engine: str, *, near: bool
) -> Found:
    secret = lake.secret()
    made_by = scheme(settings, secret)
    index = open_index(lake, made_by)
    signed = sign_batch(
        _texts(rows, _answered_anew(lake, batch), settings),
        secret,
        purpose=step,
        near=near,
        folder=lake.folder(FOLDER),
        engine=engine,
    )
    found = find(
        signed,
        index,
        settings,
        owner=(batch, step),
        with_feedback=lambda ids: _with_feedback(lake, ids),
        final=lambda ids: _final(lake, ids, batch, step),
    )
    return Found(found.duplicates, found.signatures.with_columns(scheme=pl.lit(made_by)))


def _answered_anew(lake: Lake, batch: str) -> pl.LazyFrame:
    """id of the generated rows that have the prompt of another row on purpose, and that row: `prompt_of`."""
    return lake.read("synthetic", batch=batch).filter(pl.col("prompt_of").is_not_null()).select("id", "prompt_of")


def _texts(rows: pl.LazyFrame, anew: pl.LazyFrame, settings: DedupeSettings) -> Iterator[pl.DataFrame]:
    """id, occurred_at, the text that is compared, and `among`, chunk by chunk; all turns where the user wrote nothing.

    A new answer to a known prompt repeats only another answer to that prompt, which `among` names.
    """
    whole = whole_text()
    wanted = user_text() if settings.compare == "user_turns" else whole
    text = pl.when(wanted == "").then(whole).otherwise(wanted)
    compared = pl.when(pl.col("prompt_of").is_null()).then(text).otherwise(last_answer())
    found = rows.join(anew, on="id", how="left", maintain_order="left")
    yield from found.select("id", "occurred_at", text=compared, among="prompt_of").collect_batches(chunk_size=CHUNK)


def _with_feedback(lake: Lake, ids: pl.Series) -> pl.Series:
    """Which of these ids somebody gave feedback on."""
    targets = lake.read("feedback").select(id="target_id").unique()
    return targets.join(ids.to_frame("id").lazy(), on="id", how="semi").collect()["id"]


def _final(lake: Lake, ids: pl.Series, batch: str, step: str) -> pl.DataFrame:
    """id and kept_id of those of these ids that are duplicates, followed to the row that stays.

    What an earlier try of this batch and step found does not count.
    """
    own = (pl.col("batch") == batch) & (pl.col("step") == step)
    table = lake.read("duplicates").filter(~own).select("id", "kept_id")
    found = table.join(ids.to_frame("id").lazy(), on="id", how="semi").collect()
    current = found
    while current.height:
        wanted = current.select(id="kept_id").unique()
        current = table.join(wanted.lazy(), on="id", how="semi").collect()
        further = current.select(kept_id="id", final_id="kept_id")
        found = (
            found.join(further, on="kept_id", how="left")
            .with_columns(kept_id=pl.coalesce("final_id", "kept_id"))
            .drop("final_id")
        )
    return found


def _output(found: Found, total: int, **others: int) -> StepOutput:
    duplicates = found.duplicates.height
    kept = total - duplicates - sum(others.values())
    reasons = dict(found.duplicates["reason"].value_counts().iter_rows())
    return StepOutput(
        main=found.duplicates,
        sides={"signatures": found.signatures},
        books=Books(
            total,
            {"kept": kept, "duplicates": duplicates, **others},
            {f"reason:{name}": count for name, count in sorted(reasons.items())},
        ),
    )
