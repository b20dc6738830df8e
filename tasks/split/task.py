"""The door of splitting: scrubbed rows and their duplicates in, a side for each out."""

from collections.abc import Sequence

import polars as pl
from prefect import task

from configs.settings import SplitSettings
from storage.lake import Lake
from storage.publish import Books, StepOutput, run_step
from storage.snapshot import Snapshot
from tasks.split.groups import BRIDGES, HOLDOUT, TRAIN, VALIDATION, assign
from tasks.split.links import known_links, rows_to_split


@task(name="split", persist_result=False)
def split(
    lake: Lake, scrubbed: Snapshot, duplicates: Sequence[Snapshot], settings: SplitSettings, seed: int
) -> Snapshot:
    """Give every row of the batch a side for ever: train, validation or the sealed holdout.

    Duplicates get a side too, although nothing is trained on them: their conversations go on.
    """

    def work() -> StepOutput:
        rows = rows_to_split(lake, scrubbed, duplicates)
        history = lake.read("splits").join(rows.lazy().select("id"), on="id", how="semi").collect()
        own = history.filter(pl.col("batch") == scrubbed.batch)
        new = rows.join(history, on="id", how="anti")
        placed = assign(new, known_links(lake, new), settings, seed)
        main = pl.concat([own.select("id", "group", "split"), placed]).sort("id")
        counts = {name: main.filter(pl.col("split") == name).height for name in (TRAIN, VALIDATION, HOLDOUT, BRIDGES)}
        return StepOutput(main, Books(rows.height, {**counts, "split earlier": history.height - own.height}))

    return run_step(
        lake,
        step="split",
        batch=scrubbed.batch,
        table="splits",
        settings=[settings],
        inputs=[scrubbed, *duplicates],
        work=work,
        extra=[str(seed)],
    )
