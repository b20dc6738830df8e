"""The evaluate step: champion and challenger on the same held-out items, a score a row."""

import gc
import logging
from pathlib import Path

import polars as pl
from prefect import task

from configs.settings import EvaluateSettings
from storage.lake import Lake
from storage.publish import Books, StepOutput, run_step
from storage.registry import Model, first, get
from storage.snapshot import Snapshot
from tasks.evaluate.agreement import METRIC as AGREEMENT
from tasks.evaluate.agreement import agreement
from tasks.evaluate.items import all_items
from tasks.evaluate.leaked import leaked
from tasks.evaluate.score import SCORE, score
from tasks.lm.load import load

log = logging.getLogger(__name__)


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
    every = all_items(lake, settings)
    known = leaked(lake, every, [champion, challenger])
    items = every.filter(~pl.col("item").is_in(known.implode()))
    if len(known):
        log.warning("evaluate: %s held-out items were trained on before and are left out", f"{len(known):,}")
    return run_step(
        lake,
        step="evaluate",
        batch=batch,
        table="evaluations",
        settings=[settings],
        inputs=[],
        extra=[challenger.id, champion.id, str(seed), *items["item"]],
        work=lambda: _compare(lake, champion, challenger, items, settings, seed, len(known)),
    )


def _compare(
    lake: Lake,
    champion: Model,
    challenger: Model,
    items: pl.DataFrame,
    settings: EvaluateSettings,
    seed: int,
    trained_before: int,
) -> StepOutput:
    """Both models on all items, and the lake's first model on general text, against which forgetting adds up."""
    counts = {str(metric): count for metric, count in items.group_by("metric").len().sort("metric").iter_rows()}
    log.info("evaluate: %s", ", ".join(f"{count:,} items for {name}" for name, count in counts.items()) or "no items")
    if not counts.get("general_loss"):
        log.warning('evaluate: no held-out row of domain "general": forgetting cannot be measured, the gate will hold')
    plan = {"champion": (champion, items), "challenger": (challenger, items)}
    beginning = first(lake, challenger)
    if beginning.id not in {champion.id, challenger.id}:
        plan["first model"] = (beginning, items.filter(metric="general_loss"))
    parts = [_scores(lake, model, wanted, settings, seed, role) for role, (model, wanted) in plan.items()]
    asked = sum(wanted.height for _, wanted in plan.values())
    scored = sum(rows["item"].n_unique() for rows, _ in parts)
    books = Books(
        rows_in=asked,
        out={"scored": scored, "unscorable": asked - scored},
        facts={
            "reused": sum(reused for _, reused in parts),
            "trained_before": trained_before,
            **{f"items:{name}": n for name, n in counts.items()},
        },
    )
    main = pl.concat([*(rows for rows, _ in parts), *_merge_check(lake, challenger, items, settings)])
    return StepOutput(main=main.sort("id"), books=books)


def _scores(
    lake: Lake, model: Model, items: pl.DataFrame, settings: EvaluateSettings, seed: int, role: str
) -> tuple[pl.DataFrame, int]:
    """Rows of `evaluations` for one model, and how many items were scored in an earlier batch already."""
    earlier = lake.read("evaluations").filter(pl.col("model") == model.id, pl.col("metric") != AGREEMENT)
    known = earlier.unique("id").select(SCORE.names()).collect().join(items.select("item"), on="item", how="semi")
    todo = items.join(known, on="item", how="anti")
    rows = known
    if todo.height:
        lm = load(model.path)
        fresh = score(lm, todo, settings, seed=seed, label=f"evaluate {role}")
        del lm
        gc.collect()
        rows = pl.concat([known, fresh])
    return _described(rows, items, model), known["item"].n_unique()


def _merge_check(lake: Lake, model: Model, items: pl.DataFrame, settings: EvaluateSettings) -> list[pl.DataFrame]:
    """Rows of `evaluations` that say whether the merged model and its adapter agree; none without an adapter."""
    wanted = items.filter(metric="holdout_loss")
    folder = Path(model.path)
    if wanted.is_empty() or model.parent is None or not (folder / "adapter").is_dir():
        return []
    parent = Path(get(lake, model.parent).path)
    return [_described(agreement(folder, parent, wanted, settings.max_tokens), wanted, model)]


def _described(rows: pl.DataFrame, items: pl.DataFrame, model: Model) -> pl.DataFrame:
    """Scores with what the table says of each: whose they are, and of which group and slice the item is."""
    rows = rows.join(items.select("item", "group", "slice"), on="item").with_columns(model=pl.lit(model.id))
    return rows.with_columns(id=pl.concat_str("model", "metric", "item", separator="/"))
