"""The promote step: evaluations in, a verdict out, and with it the champion."""

import json
import logging
from dataclasses import replace

import polars as pl
from prefect import task

from configs.settings import PromoteSettings, SelectSettings, ServeSettings
from storage.erasures import state
from storage.evidence import Evidence
from storage.lake import Lake
from storage.registry import Model, first
from storage.snapshot import Snapshot
from storage.verdicts import Decision, decide, promotions
from tasks.promote.by_hand import BY_HAND
from tasks.promote.evidence import Contest, agreement, gather, metrics
from tasks.promote.gate import judge, spent
from tasks.promote.rollout import follow
from tasks.promote.smoke import in_process
from tasks.promote.unusual import doubts

log = logging.getLogger(__name__)


@task(name="promote", persist_result=False)
def promote(
    lake: Lake,
    evaluation: Snapshot,
    challenger: Model,
    champion: Model,
    settings: PromoteSettings,
    select: SelectSettings,
    seed: int,
) -> Decision:
    """Judge the challenger, and make it the champion if it is proven better and answers the smoke prompts.

    Where a person is to decide, it waits instead.

    Args:
        lake: where the tables are.
        evaluation: both models' scores on the same items.
        challenger: the model that was trained.
        champion: the model that served when the run began.
        settings: what counts as proven, and who decides.
        select: the rules of mixing, which say what was not learned from.
        seed: of the bootstrap.

    Raises:
        LakeError: another model became champion since the run began.
    """
    erased = state(lake)
    rows = lake.scan(evaluation).collect()
    trusted = judged_until(lake, champion.id, evaluation.batch)
    contest = Contest(champion.id, challenger.id, first(lake, challenger).id, trusted)
    failures = _failures(lake, contest, evaluation.batch, settings) if settings.repeated_nights == "spend" else 0
    confidence = spent(settings.confidence, failures) if settings.repeated_nights == "spend" else settings.confidence
    evidence = gather(rows, contest, settings, primary_confidence=confidence, seed=seed)
    agreed = agreement(rows, challenger.id)
    verdict, reasons = judge(
        metrics(settings, contest, rows),
        evidence.metrics,
        min_items=settings.min_items,
        faults=[*_faults(champion, challenger, agreed, settings), *_silent(rows, contest)],
        doubts=doubts(lake, evaluation.batch, trusted, settings.max_unusual, select),
    )
    if verdict == "promote" and not _promoted(lake, contest, evaluation.batch):
        verdict, reasons = _checked(lake, challenger, settings, reasons)
    notes = [f"Sure means {confidence:.1%} here: challenger number {failures + 1} against this champion."]
    if agreed is not None:
        notes.append(f"The merged model and its adapter choose the same token in {agreed:.1%} of cases.")
    if state(lake) != erased:  # an answer to somebody who is gone by now may be among them
        evidence = replace(evidence, samples=())
    decision = Decision(challenger.id, champion.id, verdict, [*reasons, *notes], evidence.to_dict())
    decide(lake, decision, batch=evaluation.batch)
    log.info("promote: %s %s: %s", verdict, challenger.id, " ".join(reasons))
    return decision


@task(name="roll out", persist_result=False)
def roll_out(lake: Lake, decision: Decision, promote: PromoteSettings, serve: ServeSettings) -> Decision:
    """Tell the hooks of a new champion and see that it answers where it is served; see `tasks.promote.rollout`."""
    return follow(lake, decision, serve, promote.smoke)


def _promoted(lake: Lake, contest: Contest, batch: str) -> bool:
    """Whether this very comparison moved the pointer already, in a run that was killed after it."""
    return bool(promotions(lake).filter(batch=batch, model=contest.challenger, verdict="promote").height)


def _checked(lake: Lake, challenger: Model, settings: PromoteSettings, reasons: list[str]) -> tuple[str, list[str]]:
    """The verdict on a model that is proven better, once it was asked the smoke prompts."""
    if faults := in_process(lake, challenger, settings.smoke):
        return "reject", [*faults, *reasons]
    if settings.approval:
        return "wait", ["It is proven better and waits for a person to approve it.", *reasons]
    return "promote", reasons


def judged_until(lake: Lake, champion: str, batch: str) -> str | None:
    """The newest batch whose answers the champion was judged on, by the gate or by whoever promoted it by hand.

    For the lake's first model, it is the one before this. None: there is none.
    """
    runs = lake.read("runs", step="start")
    won = promotions(lake).filter(
        pl.col("model") == champion, pl.col("verdict") == "promote", pl.col("champion").is_not_null()
    )
    known = pl.col("batch") < batch
    if won.height:
        named, decided_at = won.row(-1, named=True)["batch"], won["decided_at"][-1]
        if not named.startswith(BY_HAND):
            return str(named)
        known = pl.col("at") <= decided_at
    newest: str | None = runs.filter(known).select(pl.col("batch").max()).collect().item()
    return newest


def _failures(lake: Lake, contest: Contest, batch: str, settings: PromoteSettings) -> int:
    """How many other challengers were compared with this champion on enough items, and did not replace it."""
    past = promotions(lake).filter(pl.col("champion") == contest.champion, pl.col("verdict").is_in(["hold", "reject"]))
    others = past.filter((pl.col("batch") != batch) | (pl.col("model") != contest.challenger))
    return len(
        {
            (row["batch"], row["model"])
            for row in others.iter_rows(named=True)
            if (primary := Evidence.from_dict(json.loads(row["evidence"])).primary) is not None
            and primary.groups >= settings.min_items
        }
    )


def _silent(rows: pl.DataFrame, contest: Contest) -> list[str]:
    """Too few prompts to prove anything are enough to see that a model says nothing at all."""
    rates = rows.filter(metric="empty_rate").select("model", "item", empty=pl.col("value") == 1)
    before, after = (rates.filter(model=model) for model in (contest.champion, contest.challenger))
    both = before.join(after, on="item", suffix="_after")
    if both.height and not both["empty"].all() and both["empty_after"].all():
        return [f"The challenger gave an empty answer to each of {both.height} prompts."]
    return []


def _faults(champion: Model, challenger: Model, agreed: float | None, settings: PromoteSettings) -> list[str]:
    """What rejects a model whatever it scored."""
    faults = []
    if champion.template_hash != challenger.template_hash:
        faults.append(
            "The chat template changed in training: the server would format prompts otherwise than the training did."
        )
    if agreed is not None and agreed < settings.min_agreement:
        faults.append(
            f"The merged model chooses another token than its adapter in {1 - agreed:.1%} of cases "
            f"({1 - settings.min_agreement:.1%} are allowed): merging lost part of the training."
        )
    return faults
