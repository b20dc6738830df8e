"""The evaluate step: champion and challenger on the same held-out items, a score a row."""

import gc
import logging

import polars as pl
from prefect import task

from configs.settings import EvaluateSettings
from storage.lake import Lake
from storage.publish import Books, StepOutput, run_step
from storage.registry import Model
from storage.snapshot import Snapshot
from tasks.evaluate.items import all_items
from tasks.evaluate.score import SCORE, score
from tasks.lm.load import load

log = logging.getLogger(__name__)
ROLES = ("champion", "challenger")


@task(name="evaluate", persist_result=False)
def evaluate(
    lake: Lake, batch: str, challenger: Model, champion: Model, settings: EvaluateSettings, seed: int
) -> Snapshot:
    """Score both models, one in memory at a time.

    Args:
        lake: where the tables are.
        batch: of the run.
        challenger: the model that was trained.
        champion: the model that serves.
        settings: how many items, how long.
        seed: of generation.

    Raises:
        MissingModelError: a model's folder is gone.
    """
    items = all_items(lake, settings)
    return run_step(
        lake,
        step="evaluate",
        batch=batch,
        table="evaluations",
        settings=[settings],
        inputs=[],
        extra=[challenger.id, champion.id, str(seed), *items["item"]],
        work=lambda: _compare(lake, (champion, challenger), items, settings, seed),
    )


def _compare(
    lake: Lake, models: tuple[Model, Model], items: pl.DataFrame, settings: EvaluateSettings, seed: int
) -> StepOutput:
    counts = {str(metric): count for metric, count in items.group_by("metric").len().sort("metric").iter_rows()}
    log.info("evaluate: %s", ", ".join(f"{count:,} items for {name}" for name, count in counts.items()) or "no items")
    if not counts.get("general_loss"):
        log.warning('evaluate: no held-out row of domain "general": forgetting cannot be measured, the gate will hold')
    parts = [_scores(lake, model, items, settings, seed, name) for model, name in zip(models, ROLES, strict=True)]
    scored = [part.select("item").n_unique() for part, _ in parts]
    books = Books(
        rows_in=len(models) * items.height,
        out={"scored": sum(scored), "unscorable": len(models) * items.height - sum(scored)},
        facts={"reused": sum(reused for _, reused in parts), **{f"items:{name}": n for name, n in counts.items()}},
    )
    main = pl.concat([part for part, _ in parts])
    return StepOutput(main=main.sort("id"), books=books)


def _scores(
    lake: Lake, model: Model, items: pl.DataFrame, settings: EvaluateSettings, seed: int, role: str
) -> tuple[pl.DataFrame, int]:
    """Rows of `evaluations` for one model, and how many items were scored in an earlier batch already."""
    wanted = items.select("item", "group", "slice")
    earlier = lake.read("evaluations").filter(pl.col("model") == model.id).unique("id").collect()
    known = earlier.select(SCORE.names()).join(wanted.select("item"), on="item", how="semi")
    todo = items.join(known, on="item", how="anti")
    rows = known
    if todo.height:
        lm = load(model.path)
        fresh = score(lm, todo, settings, seed=seed, label=f"evaluate {role}")
        del lm
        gc.collect()
        rows = pl.concat([known, fresh])
    rows = rows.join(wanted, on="item").with_columns(model=pl.lit(model.id))
    return rows.with_columns(id=pl.concat_str("model", "metric", "item", separator="/")), known["item"].n_unique()
