"""Exactly-once publishing: a step's output for a batch is there once, whatever crashed or ran twice.

A commit carries a Delta transaction whose app is `step/batch` and whose version is the fingerprint of settings and
inputs. The same fingerprint again is skipped; another one replaces the batch's rows in the same atomic commit.
Source: Delta protocol, "Transaction Identifiers" (https://github.com/delta-io/delta/blob/master/PROTOCOL.md).
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import polars as pl
from deltalake import CommitProperties, DeltaTable, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError
from pydantic import BaseModel

from storage.erasures import state
from storage.lake import Lake, LakeError
from storage.snapshot import Snapshot, digest, fingerprint
from storage.tables import TABLES

T = TypeVar("T")
log = logging.getLogger(__name__)
ATTEMPTS = 20
ROWS = 65_536  # that are in memory at a time when a file is written; the default is a million
WITHDRAWN = digest("withdrawn")


class BooksError(Exception):
    """A step lost or invented rows."""


@dataclass(frozen=True)
class Books:
    """What went in and what became of it.

    Args:
        rows_in: rows that went in.
        out: what became of them, by name: they add up to `rows_in`.
        facts: other figures of the step (entities by type, tokens ...), which need not add up.
    """

    rows_in: int
    out: Mapping[str, int]
    facts: Mapping[str, float] = field(default_factory=dict)

    def check(self, step: str) -> None:
        """Raises BooksError when in is not the sum of out."""
        if self.rows_in != sum(self.out.values()):
            parts = " + ".join(f"{count} {name}" for name, count in self.out.items())
            raise BooksError(f"{step}: {self.rows_in} rows went in, but {parts} came out.")

    def frame(self) -> pl.DataFrame:
        rows = [("in", "rows", float(self.rows_in))]
        rows += [("out", name, float(count)) for name, count in self.out.items()]
        rows += [("fact", name, float(value)) for name, value in self.facts.items()]
        frame = pl.DataFrame(rows, schema=["kind", "name", "value"], orient="row")
        return frame.with_columns(id=pl.concat_str("kind", pl.lit("/"), "name"))


@dataclass(frozen=True)
class StepOutput:
    """What a step made: rows for its main table, for side tables, and its books.

    Frames need not have `batch` and `step`, nor columns that are null throughout.
    """

    main: pl.DataFrame
    books: Books
    sides: Mapping[str, pl.DataFrame] = field(default_factory=dict)


def run_step(
    lake: Lake,
    *,
    step: str,
    batch: str,
    table: str,
    settings: Sequence[BaseModel],
    inputs: Sequence[Snapshot],
    work: Callable[[], StepOutput],
    extra: Sequence[str] = (),
) -> Snapshot:
    """Do a step's work once: skip it when its output is there, else work, check the books and publish.

    Books and side tables are written first and `table` last, and both ends must bear the fingerprint for the step to
    count as done: a run that was killed in between does all of it again, also when its settings are changed back.
    The same when somebody is erased while it works: it may have read what is gone by now (see `storage.erasures`).

    Args:
        lake: where the tables are.
        step: name of the step.
        batch: which input it works on.
        table: the main table, which says whether the step is done.
        settings: the settings that the output depends on.
        inputs: the snapshots that the output depends on.
        work: makes the output; not called when it is there.
        extra: what else the output depends on: seed, id of a model.

    Raises:
        BooksError: rows were lost or invented; nothing is written.
    """
    key = fingerprint(step, settings, inputs, *extra)
    done = published(lake, table, step=step, batch=batch, key=key)
    if done is not None and published(lake, "books", step=step, batch=batch, key=key) is not None:
        log.info("%s: batch %s is done already", step, batch)
        return done

    def once() -> tuple[StepOutput, dict[str, Snapshot]]:
        output = work()
        output.books.check(step)
        frames = {"books": output.books.frame(), **output.sides, table: output.main}
        return output, {
            name: publish(lake, name, rows, step=step, batch=batch, key=key) for name, rows in frames.items()
        }

    output, snapshots = undisturbed(lake, step, once, lambda made: withdraw(lake, made[1], step=step, batch=batch))
    parts = ", ".join(f"{count:,} {name}" for name, count in output.books.out.items() if count)
    log.info("%s: %s rows in%s", step, f"{output.books.rows_in:,}", f" -> {parts}" if parts else "")
    return snapshots[table]


def published(lake: Lake, table: str, *, step: str, batch: str, key: str) -> Snapshot | None:
    """The snapshot that `publish` made under this fingerprint, or None."""
    delta = lake.delta(table)
    if delta is None or delta.transaction_version(_app(step, batch)) != _transaction(key):
        return None
    return Snapshot(table=table, step=step, batch=batch, version=delta.version(), fingerprint=key)


def publish(lake: Lake, table: str, rows: pl.DataFrame, *, step: str, batch: str, key: str) -> Snapshot:
    """Write a step's rows of a batch in one atomic commit, once.

    Args:
        lake: where the table is.
        table: its name.
        rows: what to write; missing columns become null, unknown ones are an error.
        step: which step writes.
        batch: which batch.
        key: fingerprint of what the rows depend on: the same one again writes nothing, another one replaces.

    Raises:
        LakeError: `rows` has unknown columns, or other writers kept winning.
    """
    app, transaction = _app(step, batch), _transaction(key)
    frame = conform(table, rows.with_columns(batch=pl.lit(batch), step=pl.lit(step)))
    for _ in range(ATTEMPTS):
        delta = lake.ensure(table)
        before = delta.transaction_version(app)
        if before == transaction:
            return Snapshot(table=table, step=step, batch=batch, version=delta.version(), fingerprint=key)
        try:
            _commit(delta, frame, step, batch, app, transaction, replace=before is not None)
        except CommitFailedError:  # somebody else committed first: look again
            continue
        return Snapshot(table=table, step=step, batch=batch, version=delta.version(), fingerprint=key)
    raise LakeError(f"Table {table}: {ATTEMPTS} commits in a row were overtaken by other writers; run it again.")


def undisturbed(lake: Lake, step: str, work: Callable[[], T], undo: Callable[[T], None]) -> T:
    """What `work` published while nobody was erased; when somebody was, it is undone and done again.

    Args:
        lake: where erasures are written.
        step: its name, for the log.
        work: publishes something.
        undo: takes it back.

    Raises:
        LakeError: somebody was erased every time.
    """
    for _ in range(ATTEMPTS):
        before = state(lake)
        made = work()
        if state(lake) == before:
            return made
        log.info("%s: somebody was erased meanwhile: once more, without them", step)
        undo(made)
    raise LakeError(f"{step}: somebody was erased again and again while it worked; run it again.")


def withdraw(lake: Lake, tables: Iterable[str], *, step: str, batch: str) -> None:
    """Take back what a step published for a batch: no rows, and not done."""
    for table in tables:
        publish(lake, table, pl.DataFrame(schema=TABLES[table].schema), step=step, batch=batch, key=WITHDRAWN)


def conform(table: str, rows: pl.DataFrame) -> pl.DataFrame:
    """`rows` with just the table's columns, in order and of its types; absent ones are null, `month` is worked out.

    Raises:
        LakeError: a column that the table does not have.
    """
    schema = TABLES[table].schema
    if unknown := set(rows.columns) - set(schema):
        raise LakeError(f"Table {table} has no column {', '.join(sorted(unknown))}; see storage/tables.py.")
    if "month" in schema and "occurred_at" in rows.columns:
        rows = rows.with_columns(month=pl.col("occurred_at").dt.strftime("%Y-%m"))
    return rows.select(
        (pl.col(name) if name in rows.columns else pl.lit(None)).cast(kind).alias(name) for name, kind in schema.items()
    )


def _commit(
    delta: DeltaTable,
    frame: pl.DataFrame,
    step: str,
    batch: str,
    app: str,
    transaction: int,
    *,
    replace: bool,
) -> None:
    properties = CommitProperties(app_transactions=[Transaction(app, transaction)])
    packing = writing(delta)
    if replace:
        where = f"batch = '{quoted(batch)}' AND step = '{quoted(step)}'"
        write_deltalake(
            delta, frame, mode="overwrite", predicate=where, commit_properties=properties, writer_properties=packing
        )
    else:
        write_deltalake(delta, frame, mode="append", commit_properties=properties, writer_properties=packing)


def writing(delta: DeltaTable) -> WriterProperties:
    """How a table's files are packed: those in partitions are read again and again, so they may take longer."""
    level = 9 if delta.metadata().partition_columns else 3
    return WriterProperties(compression="ZSTD", compression_level=level, max_row_group_size=ROWS)


def quoted(text: str) -> str:
    """A text as it stands between quotes in a predicate."""
    return text.replace("'", "''")


def _app(step: str, batch: str) -> str:
    return f"{step}/{batch}"


def _transaction(key: str) -> int:
    """The fingerprint as the 63-bit number that Delta keeps for an app."""
    return int(key[:16], 16) >> 1
