"""Step 3, the door: interactions, synthetic conversations and feedback in, text without personal data out."""

import logging
from collections.abc import Mapping, Sequence
from functools import partial

from prefect import task

from configs.settings import ScrubSettings
from storage.lake import Lake
from storage.publish import Books, StepOutput, run_step
from storage.snapshot import Snapshot
from tasks.scrub.conversations import Row, Scrubbed, conversation_name, scrub_rows
from tasks.scrub.engines import check
from tasks.scrub.finding import Looked
from tasks.scrub.memory import Findings, known_placeholders
from tasks.scrub.output import placeholder_rows, quarantine_rows, scrubbed_rows
from tasks.scrub.recheck import recheck
from tasks.scrub.replace import keyed
from tasks.scrub.rows import Chosen, choose
from tasks.scrub.workers import Unit, look

log = logging.getLogger(__name__)


@task(name="scrub", persist_result=False)
def scrub(lake: Lake, rows: Snapshot, duplicates: Snapshot, settings: ScrubSettings, engine: str = "local") -> Snapshot:
    """Replace personal data and secrets; what could not be looked at to the end goes to quarantine.

    Args:
        lake: where the tables are.
        rows: interactions or synthetic conversations of a batch.
        duplicates: which of them repeat others.
        settings: what is replaced, by what.
        engine: where texts are looked at: local or ray.
    """
    return run_step(
        lake,
        step="scrub",
        batch=rows.batch,
        table="scrubbed",
        settings=[settings],
        inputs=[rows, duplicates],
        work=partial(_work, lake, rows, duplicates, settings, engine),
    )


def _work(lake: Lake, rows: Snapshot, duplicates: Snapshot, settings: ScrubSettings, engine: str) -> StepOutput:
    check(settings)
    chosen = choose(lake, rows, duplicates)
    secret = keyed(lake.secret(), "scrub").encode()
    findings = Findings(lake, settings, secret)
    every: list[Row] = [*chosen.rows.to_dicts(), *chosen.extra.to_dicts()]
    known = known_placeholders(lake, {conversation_name(row, secret) for row in every}, rows.batch)

    def fresh(units: Sequence[Unit]) -> Mapping[Unit, Looked]:
        return look(units, settings, engine)

    done = scrub_rows(every, settings, secret, known, lambda units: findings.look(units, fresh))
    checked = recheck(done, settings, secret, known, fresh)
    if left := int(checked["recheck_findings"]):
        log.warning("scrub: a second look at %d rows found and replaced %d more", int(checked["recheck_rows"]), left)
    return StepOutput(
        main=scrubbed_rows(done.rows),
        books=_books(chosen, done, {**checked, "paragraphs_reused": findings.reused}),
        sides={
            "placeholders": placeholder_rows(done.placeholders),
            "findings": findings.rows(),
            "quarantine": quarantine_rows(every, done.refused),
        },
    )


def _books(chosen: Chosen, done: Scrubbed, facts: Mapping[str, float]) -> Books:
    ids = set(chosen.rows["id"])
    quarantined = sum(id_ in ids for id_ in done.refused)
    return Books(
        rows_in=chosen.rows.height + chosen.duplicates + chosen.no_consent,
        out={
            "scrubbed": chosen.rows.height - quarantined,
            "duplicates": chosen.duplicates,
            "no_consent": chosen.no_consent,
            "quarantined": quarantined,
        },
        facts={
            **facts,
            "feedback_texts": sum(row["origin"] == "feedback" for row in done.rows),
            "earlier_rows": sum(row["origin"] != "feedback" and row["id"] not in ids for row in done.rows),
            "extra_quarantined": len(done.refused) - quarantined,
            **{f"entity:{entity}": count for entity, count in sorted(done.entities.items())},
        },
    )
