"""The evaluate step: champion and challenger on the same held-out items, a score a row."""

import gc
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from prefect import task

from configs.settings import EvaluateSettings, ScoreSettings, SelectSettings
from storage.by_id import distinct
from storage.evidence import TASK
from storage.lake import Lake
from storage.publish import Books, StepOutput, run_step
from storage.registry import Model, first, get
from storage.snapshot import Snapshot
from tasks.evaluate.agreement import agreement
from tasks.evaluate.answers import ANSWERED, measures, written
from tasks.evaluate.harness import Benchmark, open_benchmarks, score_benchmarks
from tasks.evaluate.items import DESCRIBED, LOSSES, PAIRS, all_items
from tasks.evaluate.judged import judged
from tasks.evaluate.leaked import leaked
from tasks.evaluate.rewarded import rewarded
from tasks.evaluate.score import SCORE, score, score_rows
from tasks.inference.client import open_client
from tasks.inference.engine import EngineError
from tasks.lm.load import MissingModelError, load
from tasks.lm.remote import EndpointError
from tasks.lm.rewarding import Rewarder, rewarder
from tasks.text.conversation import prompt

log = logging.getLogger(__name__)
CALCULATED = (*LOSSES, PAIRS, ANSWERED)
"""Metrics that a model has to be run for: what it was scored on in an earlier batch is taken over."""


@task(name="evaluate", persist_result=False)
def evaluate(
    lake: Lake,
    batch: str,
    challenger: Model,
    champion: Model,
    settings: EvaluateSettings,
    select: SelectSettings,
    seed: int,
    scoring: ScoreSettings | None = None,
) -> Snapshot:
    """Score both models, one in memory at a time.

    Args:
        lake: where the tables are.
        batch: of the run.
        challenger: the model that was trained.
        champion: the model that serves.
        settings: how many items, how long.
        select: the rules of mixing, which what is tested on must pass, too.
        seed: of generation.
        scoring: how rows are scored: by a reward model, if there is one, which then rewards both models' answers, too.

    Raises:
        MissingModelError: a model's folder is gone.
        Mistake: a task of the harness cannot be opened.
    """
    benchmarks = open_benchmarks(settings.harness, seed)
    every = all_items(lake, batch, settings, select)
    rows = pl.concat([every.rows, *(benchmark.items for benchmark in benchmarks)])
    known = leaked(lake, rows, [champion, challenger])
    items = rows.filter(~pl.col("item").is_in(known.implode()))
    facts = {"trained_before": len(known), **{f"left_out:{rule}": count for rule, count in every.left_out.items()}}
    if every.left_out:
        parts = ", ".join(f"{count:,} {rule}" for rule, count in every.left_out.items())
        log.info("evaluate: endorsed answers that are no items, by the rules of mixing: %s", parts)
    if len(known):
        log.warning("evaluate: %s held-out items were trained on before and are left out", f"{len(known):,}")
    reward = scoring.reward_model if scoring is not None else None
    give = rewarder(scoring) if scoring is not None and reward is not None else None
    return run_step(
        lake,
        step="evaluate",
        batch=batch,
        table="evaluations",
        settings=[settings],
        inputs=[],
        extra=[challenger.id, champion.id, str(seed), reward or "", *items["item"]],
        work=lambda: _compare(lake, champion, challenger, items, benchmarks, settings, give, seed, facts),
    )


def _compare(
    lake: Lake,
    champion: Model,
    challenger: Model,
    items: pl.DataFrame,
    benchmarks: Sequence[Benchmark],
    settings: EvaluateSettings,
    give: Rewarder | None,
    seed: int,
    facts: Mapping[str, float],
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
    parts = [_scores(lake, model, wanted, benchmarks, settings, seed, role) for role, (model, wanted) in plan.items()]
    answers = [_answers(rows, items) for rows, _ in parts[:2]]
    opinions, said = _judged(lake, champion, challenger, answers, items, settings, seed)
    rewards, paid = _rewarded((champion, challenger), answers, items, give)
    asked = sum(wanted.height for _, wanted in plan.values())
    scored = sum(rows["item"].n_unique() for rows, _ in parts)
    books = Books(
        rows_in=asked,
        out={"scored": scored, "unscorable": asked - scored},
        facts={
            "reused": sum(reused for _, reused in parts),
            **facts,
            **said,
            **paid,
            **{f"items:{name}": n for name, n in counts.items()},
        },
    )
    main = pl.concat(
        [*(rows for rows, _ in parts), *opinions, *rewards, *_merge_check(lake, challenger, items, settings)]
    )
    return StepOutput(main=main.sort("id"), books=books)


def _scores(
    lake: Lake,
    model: Model,
    items: pl.DataFrame,
    benchmarks: Sequence[Benchmark],
    settings: EvaluateSettings,
    seed: int,
    role: str,
) -> tuple[pl.DataFrame, int]:
    """Rows of `evaluations` for one model, and how many items were scored in an earlier batch already."""
    calculated = pl.col("metric").is_in(CALCULATED) | pl.col("metric").str.starts_with(TASK)
    earlier = lake.read("evaluations").filter(pl.col("model") == model.id, calculated)
    known = distinct(earlier, "id").select(SCORE.names()).collect().join(items.select("item"), on="item", how="semi")
    todo = items.join(known, on="item", how="anti")
    rows = known
    if todo.height:
        lm = load(model.path)
        fresh = score(lm, todo, settings, seed=seed, label=f"evaluate {role}")
        open_ones = [one for one in benchmarks if one.items["item"].is_in(todo["item"].implode()).any()]
        done = score_benchmarks(lm, open_ones, settings.harness, seed).join(todo, on="item", how="semi")
        del lm
        gc.collect()
        rows = pl.concat([known, fresh, done])
    parts = measures(written(rows, items))
    measured = score_rows(parts["metric"], parts["item"], parts["value"], np.ones(parts.height))
    return _described(pl.concat([rows, measured]), items, model), known["item"].n_unique()


def _answers(rows: pl.DataFrame, items: pl.DataFrame) -> pl.DataFrame:
    """What one model wrote, with the `messages` of each prompt."""
    prompts = items.select("item", messages=prompt())
    return written(rows, items).join(prompts, on="item", maintain_order="left")


def _judged(
    lake: Lake,
    champion: Model,
    challenger: Model,
    answers: Sequence[pl.DataFrame],
    items: pl.DataFrame,
    settings: EvaluateSettings,
    seed: int,
) -> tuple[list[pl.DataFrame], Mapping[str, float]]:
    """Rows of `evaluations` with what the judge says of both models' answers, and its figures; none without a judge."""
    old, new = (
        one.join(other, on="item", how="semi", maintain_order="left") for one, other in (answers, answers[::-1])
    )
    if not settings.judge.enabled or old.is_empty():
        return [], {}
    try:
        with open_client(lake, settings.judge, champion.path, step="evaluate") as client:
            before, after, figures = judged(old, new, client, seed)
    except (EngineError, MissingModelError) as error:  # nothing hangs on what it says: no reason to lose a night
        log.warning("evaluate: the judge says nothing: %s", error)
        return [], {"judge:unreachable": 1}
    return [_described(before, items, champion), _described(after, items, challenger)], figures


def _rewarded(
    models: Sequence[Model], answers: Sequence[pl.DataFrame], items: pl.DataFrame, give: Rewarder | None
) -> tuple[list[pl.DataFrame], Mapping[str, float]]:
    """Rows of `evaluations` with the reward of both models' answers; none where no reward model is set."""
    if give is None:
        return [], {}
    try:
        rows = [
            _described(rewarded(some, give), items, model)
            for model, some in zip(models, answers, strict=True)
            if some.height
        ]
    except (EndpointError, MissingModelError) as error:  # nothing hangs on it, as on the judge
        log.warning("evaluate: no answer is rewarded: %s", error)
        return [], {"reward:unreachable": 1}
    return rows, {}


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
    rows = rows.join(items.select("item", "group", "since", *DESCRIBED), on="item").with_columns(model=pl.lit(model.id))
    return rows.with_columns(id=pl.concat_str("model", "metric", "item", separator="/"))
