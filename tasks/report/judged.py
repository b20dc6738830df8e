"""What the gate decided about a challenger, and what followed; for the report, the terminal and Prefect's artifacts."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from storage import rollouts
from storage.evidence import Comparison, Evidence
from storage.lake import Lake
from storage.verdicts import promotions

VERDICTS: Mapping[str, str] = {
    "promote": "Promoted",
    "wait": "Waits for approval",
    "hold": "Held back",
    "reject": "Rejected",
    "decline": "Declined",
    "rollback": "Rolled back",
}
"""Every verdict, and what it is called."""
WIN_RATE, AT_EQUAL_LENGTH = "judge_win_rate", "judge_win_rate_at_equal_length"
"""Facts of the evaluate step."""


@dataclass(frozen=True)
class Verdict:
    """What the gate decided, and why."""

    id: str
    batch: str
    model: str
    champion: str | None  # before the verdict
    verdict: str  # one of `VERDICTS`
    reasons: tuple[str, ...]
    evidence: Evidence
    decided_at: datetime

    @property
    def primary(self) -> Comparison | None:
        """The comparison that decides."""
        return self.evidence.primary


@dataclass(frozen=True)
class Judge:
    """Shares of prompts on which a language model prefers the challenger, ties half: all in all, and without what the
    answers' length explains."""

    win_rate: float
    at_equal_length: float


def verdict(lake: Lake, batch: str) -> Verdict | None:
    """The newest verdict of a batch; None where nothing was decided."""
    found = _verdicts(promotions(lake).filter(batch=batch))
    return found[-1] if found else None


def verdicts(lake: Lake) -> list[Verdict]:
    """All verdicts on challengers, and rollbacks, oldest first."""
    return _verdicts(promotions(lake))


def last_verdicts(history: Sequence[Verdict]) -> list[Verdict]:
    """The last verdict on each challenger, oldest first: who waited is approved or declined later."""
    return list({(found.batch, found.model): found for found in history}.values())


def rollout(lake: Lake, found: Verdict) -> list[dict[str, Any]]:
    """What followed a verdict, oldest first: `what` was done, whether that went well, and what was said."""
    return list(rollouts.facts(lake, found.id).select("what", "ok", "said").iter_rows(named=True))


def comparison(lake: Lake, batch: str) -> list[Comparison]:
    """Champion against challenger by each metric; empty where nothing was decided."""
    found = verdict(lake, batch)
    return list(found.evidence.metrics) if found else []


def judge(lake: Lake, batch: str) -> Judge | None:
    """How a batch's challenger did before the judge; None where it was not asked, or not understood."""
    facts = lake.read("books", batch=batch, step="evaluate").filter(kind="fact").select("name", "value").collect()
    found = {name: value for name, value in facts.iter_rows() if name in (WIN_RATE, AT_EQUAL_LENGTH)}
    return Judge(found[WIN_RATE], found[AT_EQUAL_LENGTH]) if len(found) == 2 else None


def _verdicts(rows: pl.DataFrame) -> list[Verdict]:
    """Of rows of promotions, those about a challenger or a rollback; the first model's promotion is neither."""
    return [_verdict(row) for row in rows.filter(pl.col("champion").is_not_null()).iter_rows(named=True)]


def _verdict(row: Mapping[str, Any]) -> Verdict:
    return Verdict(
        id=row["id"],
        batch=row["batch"],
        model=row["model"],
        champion=row["champion"],
        verdict=row["verdict"],
        reasons=tuple(row["reasons"]),
        evidence=Evidence.from_dict(json.loads(row["evidence"])),
        decided_at=row["decided_at"],
    )
