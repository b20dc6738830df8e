"""Every verdict on a model, and the champion: the pointer that verdicts move is the newest of them that moves it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import polars as pl
from deltalake import CommitProperties, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError

from storage import registry
from storage.lake import Lake, LakeError
from storage.publish import conform
from storage.snapshot import digest
from storage.tables import TABLES

ATTEMPTS = 20
MOVES = frozenset({"promote", "rollback"})
"""Verdicts that move the champion pointer. The others: hold, reject, wait (for a person) and decline (by one)."""


@dataclass(frozen=True)
class Decision:
    """A verdict on a challenger, with its reasons and evidence; `champion` is whom it was compared with."""

    model: str
    champion: str | None
    verdict: str
    reasons: Sequence[str]
    evidence: Mapping[str, Any] = field(default_factory=dict)


def champion(lake: Lake) -> str | None:
    """Id of the model that serves, or None before the first one."""
    return next(reversed(served(lake)), None)


def served(lake: Lake) -> list[str]:
    """The champions up to the present one; a rollback takes away those that came after the model it names."""
    return _served(_history(lake.read("promotions")))


def last_move(lake: Lake) -> tuple[str, Decision] | None:
    """The verdict that made the present champion, after its id; None before the first one."""
    rows = lake.read("promotions")
    moves = _history(rows).filter(pl.col("verdict").is_in(MOVES))
    if moves.is_empty():
        return None
    decision_id = moves["id"][-1]
    return decision_id, _decision(rows.filter(pl.col("id") == decision_id).collect().row(0, named=True))


def waiting(lake: Lake) -> dict[str, tuple[str, Decision]]:
    """Models that are proven better than the champion and wait for a person, oldest first: batch and verdict of each.

    Once another champion serves, whoever was compared with the former one waits no more.
    """
    history = promotions(lake)
    newest = history.unique("model", keep="last", maintain_order=True).filter(verdict="wait")
    current = next(reversed(_served(history)), None)
    return {
        row["model"]: (row["batch"], _decision(row))
        for row in newest.sort("sequence").iter_rows(named=True)
        if row["champion"] == current
    }


def promotions(lake: Lake) -> pl.DataFrame:
    """All verdicts with their evidence, oldest first."""
    return lake.read("promotions").sort("sequence").collect()


def decide(lake: Lake, decision: Decision, *, batch: str) -> bool:
    """Write a verdict, and with it move the champion pointer: one compare-and-swap.

    The verdict is one row in one atomic commit, and the pointer is the newest of them: killed at any moment, the
    pointer names the old champion or the new one. Every verdict carries Delta's transaction of app "champion", so that
    of two commits on the same version the second one fails, looks again and either finds its champion gone or repeats.

    Args:
        lake: where the pointer is.
        decision: the verdict; `champion` is whom the challenger was compared with.
        batch: of the run.

    Returns:
        Whether it was written now; False when this batch's verdict was there already.

    Raises:
        LakeError: the champion changed since the challenger was compared with it, or other writers kept winning.
    """
    for _ in range(ATTEMPTS):
        delta = lake.ensure("promotions")
        history = _history(lake.read("promotions", version=delta.version()))
        row_id = _decision_id(decision, batch, history)
        if history.filter(pl.col("id") == row_id).height:
            return False
        current = next(reversed(_served(history)), None)
        if decision.verdict in MOVES and current != decision.champion:
            raise LakeError(
                f"{decision.model} was compared with {decision.champion or 'no champion'}, but {current or 'none'} "
                "is the champion now: run the evaluation again."
            )
        sequence = history.height + 1
        try:
            write_deltalake(
                delta,
                conform("promotions", _row(decision, row_id, batch, sequence)),
                mode="append",
                commit_properties=CommitProperties(app_transactions=[Transaction("champion", sequence)]),
            )
        except CommitFailedError:  # somebody decided at the same time: look again
            continue
        return True
    raise LakeError(f"Table promotions: {ATTEMPTS} commits in a row were overtaken by other writers; run it again.")


def rollback(lake: Lake, reason: str, *, to: str | None = None, batch: str = "rollback") -> Decision:
    """Move the champion pointer back.

    Args:
        lake: where the pointer is.
        reason: why, for the history.
        to: id of the model that shall serve again; by default the one before the champion.
        batch: under which batch the verdict is filed.

    Returns:
        The verdict that was written.

    Raises:
        LakeError: nobody served before the champion, or `to` never did, or the champion changed meanwhile.
    """
    champions = served(lake)
    if to is None:
        if len(champions) < 2:
            raise LakeError(f"No model served before the champion in {lake.uri}: there is nothing to go back to.")
        to = champions[-2]
    elif to not in champions[:-1]:
        former = ", ".join(dict.fromkeys(champions[:-1])) or "none"
        raise LakeError(f"{to} is no former champion of {lake.uri}; there are: {former}.")
    decision = Decision(registry.get(lake, to).id, champions[-1], "rollback", [reason])
    decide(lake, decision, batch=batch)
    return decision


def withdraw(lake: Lake, decision_id: str, reason: str) -> Decision | None:
    """Roll back the promotion of that id, if it still is what made the champion; None if something else did.

    However many notice at once that a new champion does not work, the pointer goes back by one model only.
    """
    move = last_move(lake)
    if move is None or move[0] != decision_id or move[1].verdict != "promote" or move[1].champion is None:
        return None
    back = Decision(move[1].champion, move[1].model, "rollback", [reason])
    try:
        decide(lake, back, batch=f"withdraw-{decision_id}")
    except LakeError:  # somebody else was quicker
        return None
    return back


def _row(decision: Decision, row_id: str, batch: str, sequence: int) -> pl.DataFrame:
    row = {
        "id": row_id,
        "batch": batch,
        "step": "rollback" if decision.verdict == "rollback" else "promote",
        "sequence": sequence,
        "model": decision.model,
        "champion": decision.champion,
        "verdict": decision.verdict,
        "reasons": list(decision.reasons),
        "evidence": json.dumps(dict(decision.evidence)),
        "decided_at": datetime.now(UTC),
    }
    return pl.DataFrame([row], schema=TABLES["promotions"].schema)


def _decision(row: Mapping[str, Any]) -> Decision:
    return Decision(row["model"], row["champion"], row["verdict"], row["reasons"], json.loads(row["evidence"]))


def _decision_id(decision: Decision, batch: str, history: pl.DataFrame) -> str:
    """Name of a verdict: the same comparison in the same batch is decided once; every rollback is one of its own."""
    nth = str(history.height) if decision.verdict == "rollback" else ""
    return digest(batch, decision.model, decision.champion or "", decision.verdict, nth)[:16]


def _history(rows: pl.LazyFrame) -> pl.DataFrame:
    """All verdicts, oldest first, without their reasons and evidence: whoever serves asks every few seconds."""
    return rows.select("id", "sequence", "model", "verdict").sort("sequence").collect()


def _served(history: pl.DataFrame) -> list[str]:
    champions: list[str] = []
    for model, verdict in history.select("model", "verdict").iter_rows():
        if verdict == "promote":
            champions.append(model)
        elif verdict == "rollback":
            del champions[len(champions) - champions[::-1].index(model) :]
    return champions
