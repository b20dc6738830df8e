"""The promote step: evaluations in, a verdict out, and with it the champion."""

import logging

from prefect import task

from configs.settings import PromoteSettings
from storage.lake import Lake
from storage.registry import Decision, Model, decide
from storage.snapshot import Snapshot
from tasks.promote.evidence import gather, metrics
from tasks.promote.gate import judge

log = logging.getLogger(__name__)


@task(name="promote", persist_result=False)
def promote(
    lake: Lake, evaluation: Snapshot, challenger: Model, champion: Model, settings: PromoteSettings, seed: int
) -> Decision:
    """Judge the challenger, and make it the champion if it is proven better.

    Args:
        lake: where the tables are.
        evaluation: both models' scores on the same items.
        challenger: the model that was trained.
        champion: the model that served when the run began.
        settings: what counts as proven.
        seed: of the bootstrap.

    Raises:
        LakeError: another model became champion since the run began.
    """
    rows = lake.scan(evaluation).collect()
    evidence = gather(rows, champion.id, challenger.id, settings, seed)
    verdict, reasons = judge(
        metrics(settings),
        evidence.metrics,
        min_items=settings.min_items,
        faults=_faults(champion, challenger),
    )
    decision = Decision(challenger.id, champion.id, verdict, reasons, evidence.to_dict())
    decide(lake, decision, batch=evaluation.batch)
    log.info("promote: %s %s: %s", verdict, challenger.id, " ".join(reasons))
    return decision


def _faults(champion: Model, challenger: Model) -> list[str]:
    if champion.template_hash == challenger.template_hash:
        return []
    return ["The chat template changed in training: the server would format prompts otherwise than the training did."]
