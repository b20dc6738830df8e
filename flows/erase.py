"""Forgetting: whatever comes from a user, a conversation or a record leaves every place that may hold it.

`storage.tables` says of every table which columns name what a row comes from; `PLACES` are all others. Who adds a table
must say it there, who adds another place where text lies must add it here, and the tests look into every byte.

What is derived goes before what it derives from, so an erasure that was killed finds the rest when it is run again.
"""

import json
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl

from configs.mistake import Mistake
from configs.settings import CollectSettings
from storage import erasures, files
from storage.evidence import Evidence
from storage.lake import Lake
from storage.lineage import Descent, Kind, descent, heads_with, mixed_files, mixtures_with, models_with
from storage.names import names, user_hash
from storage.publish import conform, publish
from storage.rewrite import drop, rewrite
from storage.snapshot import digest
from storage.tables import TABLES
from storage.trained import OUTPUT, RESULT, without_samples
from tasks.collect.forget import unreadable
from tasks.collect.http.forget import blank, erased_lines
from tasks.dedupe.index import remove_stale
from tasks.inference.journal import forget as forget_requests
from tasks.report.page import write as write_report
from tasks.scrub.memory import conversation_keys

log = logging.getLogger(__name__)


class EraseError(Mistake):
    """Nothing can be erased as it was asked for; the message says why."""


@dataclass(frozen=True)
class Erasure:
    """What is erased, or would be.

    Args:
        found: whatever comes from them.
        rows: how many rows of each table.
        mixtures: ids of the mixtures that lose rows, and cannot be made again.
        models: ids of the models that learned from them, oldest first: erasing does not take it out of their weights.
        logs: files that the records came from, and those that mixtures were made from: they may hold them still, and
            nobody else's files are changed.
        spooled: records that wait in the collector's spool.
        collect: where that is, and how it is read.
    """

    found: Descent
    rows: Mapping[str, int]
    mixtures: Sequence[str]
    models: Sequence[str]
    logs: Sequence[str]
    spooled: int
    collect: CollectSettings

    @property
    def empty(self) -> bool:
        return not any(self.rows.values()) and not self.spooled

    @property
    def names(self) -> Mapping[str, Collection[str]]:
        """What must stay out, by kind."""
        return {"row": self.found.rows, "conversation": self.found.conversations, "user": self.found.users}


def wish(user: str | None, conversation: str | None, row: str | None) -> tuple[Kind, str]:
    """What is to be erased, of three of which one is given.

    Raises:
        EraseError: none is given, or several.
    """
    asked: dict[Kind, str | None] = {"user": user, "conversation": conversation, "row": row}
    given = [(kind, name) for kind, name in asked.items() if name]
    if len(given) != 1:
        raise EraseError("Say whom to forget: one of --user NAME, --conversation ID and --id ID.")
    return given[0]


def plan(lake: Lake, kind: Kind, name: str, collect: CollectSettings) -> Erasure:
    """Look up what would be erased; nothing is written.

    Args:
        lake: where to look.
        kind: what `name` is of: a user, a conversation or a row.
        name: as the product logs it, or as the lake has it.
        collect: settings of step 1: they say where the collector's spool is.
    """
    mixed = mixed_files(lake)
    known = names(lake, *(source for source, _ in mixed))
    found = descent(lake, kind, known.of(kind, name))
    more = {
        **found.more,
        "placeholders": conversation_keys(lake.secret(), found.conversations),
        "findings": found.batches,
        "quarantine": unreadable(lake, found, known.hashed),
    }
    found = replace(found, more=more)
    tables = [table for table in TABLES if TABLES[table].about]
    counts = {table: _count(lake, table, found) for table in tables}
    mixtures = mixtures_with(lake, found)["batch"].to_list()
    models = [*models_with(lake, mixtures)["id"], *heads_with(lake, found)["id"]]
    logs = sorted({*_logs(lake, found), *(path for _, path in mixed)})
    what = Erasure(found, counts, mixtures, models, logs, 0, collect)
    gone = erasures.Erased.of(erasures.marks(lake.secret(), what.names), lake.secret())
    return replace(what, spooled=len(erased_lines(lake, collect, gone, known.hashed)))


def erase(lake: Lake, what: Erasure) -> None:
    """Erase what was planned, and see that it stays out. Old versions of the files go with `flywheel maintain`.

    Run again after it was killed, it does the rest. Steps that work meanwhile do their work again without it.

    Args:
        lake: where it is.
        what: from `plan`.
    """
    marks = erasures.marks(lake.secret(), what.names)
    batch = digest(*marks["id"], str(marks["at"].max()))[:16]
    publish(lake, erasures.TABLE, marks, step=erasures.STEP, batch=batch, key=digest("begun", batch))
    _everywhere(lake, what)
    done = marks.head(1).with_columns(kind=pl.lit(erasures.DONE))
    publish(lake, erasures.TABLE, done, step=erasures.DONE, batch=batch, key=digest("done", batch))
    _everywhere(lake, what)  # what was published between the looking and the word
    log.info("erase: %s rows erased", f"{sum(what.rows.values()):,}")


def _everywhere(lake: Lake, what: Erasure) -> None:
    for place in PLACES:
        place(lake, what)
    for table in reversed(list(TABLES)):
        if TABLES[table].about:
            drop(lake, table, what.found.within(table))
    remove_stale(lake)


def _count(lake: Lake, table: str, found: Descent) -> int:
    return int(lake.read(table).filter(found.within(table)).select(pl.len()).collect(engine="streaming").item())


def _logs(lake: Lake, found: Descent) -> list[str]:
    """Files that the rows may have come from."""
    rows = lake.read("interactions").filter(found.within("interactions")).select("batch", "source")
    feedback = lake.read("feedback").filter(found.within("feedback")).select("batch", "source")
    planned = lake.read("sources").select("batch", "source", "uri")
    files = planned.join(pl.concat([rows, feedback]).unique(), on=["batch", "source"], how="semi")
    return sorted(files.select(pl.col("uri").unique()).collect()["uri"])


def _groups(lake: Lake, what: Erasure) -> None:
    """Rows that stay may be in a group that bears the name of one that goes: it gets another one."""
    gone = what.found.names
    column = pl.col("group")
    tied = column.is_in(sorted(gone))
    batches = lake.read("splits").filter(tied).select(pl.col("batch").unique()).collect()["batch"]
    secret = lake.secret()
    renamed = {name: erasures.mark(secret, "group", name) for name in gone}
    rewrite(lake, "splits", batches, lambda rows: rows.with_columns(column.replace(renamed)))


def _manifests(lake: Lake, what: Erasure) -> None:
    """Mark mixtures that lose rows: they cannot be made again. Others may name a row among those that they left out."""

    def marked(row: Mapping[str, str]) -> str:
        manifest = json.loads(row["manifest"])
        examples = manifest.get("examples", {})
        kept = {rule: [name for name in ids if name not in what.found.names] for rule, ids in examples.items()}
        if kept != examples:
            manifest["examples"] = kept
        if row["batch"] in what.mixtures:
            manifest["reproducible"] = False
        return json.dumps(manifest, sort_keys=True)

    batches = lake.read("manifests").select("batch").collect()["batch"]
    changed = pl.struct("batch", "manifest").map_elements(marked, return_dtype=pl.String)
    rewrite(lake, "manifests", batches, lambda rows: rows.with_columns(manifest=changed))


def _verdicts(lake: Lake, what: Erasure) -> None:
    """Take answers to erased questions out of the verdicts."""
    answered = lake.read("evaluations").filter(what.found.within("evaluations"), pl.col("output").is_not_null())
    outputs = answered.select("batch", "output").collect()
    prompts = {json.loads(text)["prompt"] for text in outputs["output"]}

    def without(text: str) -> str:
        evidence = Evidence.from_dict(json.loads(text))
        samples = tuple(sample for sample in evidence.samples if sample.prompt not in prompts)
        return text if samples == evidence.samples else json.dumps(replace(evidence, samples=samples).to_dict())

    batches = sorted(set(outputs["batch"]))
    cleaned = pl.col("evidence").map_elements(without, return_dtype=pl.String)
    rewrite(lake, "promotions", batches, lambda rows: rows.with_columns(cleaned))


def _reports(lake: Lake, what: Erasure) -> None:
    """Reports show rows: those that may show one of these are written anew, from what verdicts, manifests and models'
    folders show."""
    if what.empty:
        return
    first = min(what.found.batches, default="")
    for name in files.listed(lake, "reports"):
        batch, _, kind = name.rpartition(".")
        if kind == "html" and batch >= first:
            write_report(lake, batch)


def _samples(lake: Lake, what: Erasure) -> None:
    """The folder of a model holds a few rows of what it was trained on. Nobody knows which these are where a training
    was killed before its model was registered: that one loses them all."""
    others = lake.read("models").filter(~pl.col("mixture").is_in(what.mixtures)).select("path").collect()["path"]
    for name in files.listed(lake, "models"):
        path, _, file = f"models/{name}".rpartition("/")
        data = files.read(lake, path, file) if file == RESULT and path not in others else None
        if data is not None and (kept := without_samples(data)) != data:
            files.write(lake, kept, path, file)
    for result in lake.local("models").glob(f"*/{RESULT}"):  # on this machine, and not yet in the object store
        if f"models/{result.parent.name}" not in others:
            result.write_bytes(without_samples(result.read_bytes()))


def _work(lake: Lake, what: Erasure) -> None:
    """What killed trainings and requests left to be carried on."""
    for rows in lake.local("work").glob("*/rows.parquet"):
        left = conform("mixtures", pl.read_parquet(rows))
        if not left.filter(what.found.within("mixtures")).is_empty():
            rows.unlink()
    for result in lake.local("work").glob(f"*/{OUTPUT}/{RESULT}"):  # it is written again
        result.unlink(missing_ok=True)
    forget_requests(lake.local("work", "requests"))


def _spool(lake: Lake, what: Erasure) -> None:
    """What the collector took and nobody collected yet."""
    blank(lake, what.collect, erasures.load(lake), user_hash(lake.secret()))


PLACES: Sequence[Callable[[Lake, Erasure], None]] = (_groups, _manifests, _verdicts, _samples, _reports, _work, _spool)
"""Where texts lie that no row of a table is: each one forgets what is erased, and does nothing when it is done."""
