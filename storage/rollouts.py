"""What followed a change of champion, a row a fact; so a run that was killed knows what is still to be done."""

from datetime import UTC, datetime

import polars as pl

from storage.lake import Lake
from storage.publish import publish
from storage.snapshot import digest
from storage.tables import TABLES

SERVED = "served"
"""What the fact is called that the champion answered its smoke prompts where it is served."""


def record(lake: Lake, decision: str, model: str, what: str, *, ok: bool, said: str = "") -> None:
    """Write a fact, over an earlier one about the same.

    Args:
        lake: where the table is.
        decision: id of the verdict that moved the champion pointer.
        model: the model that it names.
        what: what was done.
        ok: whether it went well.
        said: what came back, in a few words.
    """
    row = {
        "id": f"{decision}/{what}",
        "decision": decision,
        "model": model,
        "what": what,
        "ok": ok,
        "said": said,
        "at": datetime.now(UTC),
    }
    rows = pl.DataFrame([row], schema={name: TABLES["rollouts"].schema[name] for name in row})
    publish(lake, "rollouts", rows, step=f"rollout-{digest(what)[:12]}", batch=decision, key=digest(str(row["at"])))


def done(lake: Lake, decision: str) -> set[str]:
    """What went well after a verdict."""
    return set(facts(lake, decision).filter("ok")["what"])


def facts(lake: Lake, decision: str) -> pl.DataFrame:
    """All that is known of a verdict's rollout, oldest first."""
    return lake.read("rollouts", batch=decision).sort("at").collect()
