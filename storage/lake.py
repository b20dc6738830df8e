"""The lake: Delta tables and model files under one folder or object-store URI."""

import os
import secrets
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
from deltalake import DeltaTable, Schema
from deltalake.exceptions import CommitFailedError, TableNotFoundError
from deltalake.fs import DeltaStorageHandler
from pyarrow.fs import FileSystem, FileType, PyFileSystem, copy_files

from configs.mistake import Mistake
from storage.snapshot import Snapshot
from storage.tables import STATISTICS, TABLES

SECRET_VARIABLE = "FLYWHEEL_SECRET"


class LakeError(Mistake):
    """Something about the lake that a person must mend; the message says what and how."""


@dataclass(frozen=True)
class TableStatus:
    """A line of `flywheel status`."""

    name: str
    rows: int
    version: int
    files: int
    size: int  # bytes


@dataclass(frozen=True)
class Lake:
    """A lake at `uri`: a local folder, or a URI such as `s3://bucket/lake`.

    Args:
        uri: where it lies. Local folders are made when first written to.
        options: what the object store needs (endpoint, region ...); credentials come from the environment.
    """

    uri: str
    options: dict[str, str] = field(default_factory=dict)
    _opened: dict[str, "_Opened"] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __reduce__(self) -> tuple[type["Lake"], tuple[str, dict[str, str]]]:
        return Lake, (self.uri, self.options)  # what is open in one process is not in another

    @property
    def is_local(self) -> bool:
        return "://" not in self.uri

    @cached_property
    def _base(self) -> str:
        return str(Path(self.uri).resolve()) if self.is_local else self.uri.rstrip("/")

    def path(self, *parts: str) -> str:
        """The address of something in the lake."""
        return "/".join((self._base, *parts))

    def local(self, *parts: str) -> Path:
        """Where something of the lake lies on this machine: in a local lake itself, or in a cache of a remote one."""
        if self.is_local:
            return Path(self.path(*parts))
        cache = Path(os.environ.get("FLYWHEEL_CACHE", Path.home() / ".cache" / "flywheel"))
        return cache / "lakes" / self.uri.replace("://", "-").replace("/", "-") / Path(*parts)

    def folder(self, *parts: str) -> Path:
        """A local folder to write into, made if need be: models, reports, work. `save` what others are to read."""
        folder = self.local(*parts)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def save(self, *parts: str) -> None:
        """Copy a finished file or folder to the object store; a local lake has it there already."""
        if not self.is_local:
            store, root = FileSystem.from_uri(self.path(*parts))
            copy_files(str(self.local(*parts)), root, destination_filesystem=store)

    def fetch(self, *parts: str) -> Path:
        """Where a saved folder lies on this machine; it is copied here first if it is not there."""
        here = self.local(*parts)
        if not self.is_local and not here.exists():
            store, root = FileSystem.from_uri(self.path(*parts))
            here.parent.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(dir=here.parent) as half:  # a copy that was cut off must not look whole
                copy_files(root, half, source_filesystem=store)
                Path(half).rename(here)
                Path(half).mkdir()
        return here

    def delta(self, table: str) -> DeltaTable | None:
        """The Delta table as it is now, or None before its first row; to write to it, take `ensure`'s.

        To open a table costs the more the longer its log is, so it stays open as long as nobody writes to it.
        """
        known = self._opened.get(table)
        if known is None or not known.is_newest():
            if (delta := self._open(table)) is None:
                return None
            known = self._opened[table] = _Opened.of(delta, self.options)
        return known.delta

    def ensure(self, table: str) -> DeltaTable:
        """The Delta table, made empty if it is not there, and with every column that was thought of since.

        Nobody else has this object: what others write while it is written to is seen as a conflict.
        """
        kind = TABLES[table]
        schema = Schema.from_arrow(pl.DataFrame(schema=kind.schema).to_arrow().schema)
        if (existing := self._open(table)) is not None:
            return _with_columns(existing, schema)
        return DeltaTable.create(
            self.path("tables", table),
            schema=schema,
            mode="ignore",
            partition_by=list(kind.partitions),
            description=kind.holds,
            storage_options=self.options or None,
            configuration={
                "delta.dataSkippingStatsColumns": ",".join(
                    name for name in STATISTICS if name in kind.schema and name not in kind.partitions
                ),
                "delta.checkpointInterval": "10",  # to open a table, all commits since the last checkpoint are read
                "delta.logRetentionDuration": "interval 30 days",
                "delta.targetFileSize": str(512 * 2**20),
                "delta.deletedFileRetentionDuration": "interval 7 days",
            },
        )

    def read(
        self, table: str, *, batch: str | None = None, step: str | None = None, version: int | None = None
    ) -> pl.LazyFrame:
        """All rows of a table, or those of one batch or step; no rows when the table is not there yet.

        A column that the table did not have when it was written is null.

        Raises:
            KeyError: no such table in `storage.tables`.
        """
        schema = TABLES[table].schema
        delta = self.delta(table)
        if delta is None:
            return pl.LazyFrame(schema=schema)
        rows = pl.scan_delta(delta if version is None else DeltaTable(delta.table_uri, version, self.options or None))
        if batch is not None:
            rows = rows.filter(pl.col("batch") == batch)
        if step is not None:
            rows = rows.filter(pl.col("step") == step)
        known = rows.collect_schema()
        return rows.select(_column(known, name, kind) for name, kind in schema.items())

    def scan(self, snapshot: Snapshot) -> pl.LazyFrame:
        """The rows of a snapshot."""
        return self.read(snapshot.table, batch=snapshot.batch, step=snapshot.step)

    def status(self) -> list[TableStatus]:
        """Every table that exists, in the order of the pipeline."""
        found = [(name, self.delta(name)) for name in TABLES]
        return [_status(name, delta) for name, delta in found if delta is not None]

    def secret(self) -> bytes:
        """The key of this lake's hashes: `FLYWHEEL_SECRET`, or a file beside a local lake, made when it is missing.

        It lies outside the lake so that a copy of the lake cannot be read back by guessing.

        Raises:
            LakeError: the lake is in an object store and the variable is not set.
        """
        if value := os.environ.get(SECRET_VARIABLE):
            return value.encode()
        if not self.is_local:
            raise LakeError(
                f"The lake {self.uri} has no secret: set {SECRET_VARIABLE} to a long random text, "
                "the same on every machine that works on this lake."
            )
        file = Path(self.path() + ".secret")
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return file.read_bytes()
        with os.fdopen(handle, "wb") as out:
            out.write(secrets.token_hex(32).encode())
        return file.read_bytes()

    def _open(self, table: str) -> DeltaTable | None:
        try:
            return DeltaTable(self.path("tables", table), storage_options=self.options or None)
        except TableNotFoundError:
            return None


@dataclass(frozen=True)
class _Opened:
    """A table that is open at one version.

    Commits are numbered one by one, each in a file of its own (Delta protocol, "Delta Log Entries"). As long as that of
    this version is there unchanged, and the next one is not, this is the newest. Where it is gone, the log was cleaned
    up or the table deleted, and the next one's absence says nothing.
    """

    delta: DeltaTable
    files: FileSystem
    written: int | None  # the commit, in nanoseconds

    @staticmethod
    def of(delta: DeltaTable, options: dict[str, str]) -> "_Opened":
        files = PyFileSystem(DeltaStorageHandler(delta.table_uri, options or None))
        return _Opened(delta, files, files.get_file_info(_commit(delta.version())).mtime_ns)

    def is_newest(self) -> bool:
        """Whether nobody has written since."""
        version = self.delta.version()
        own, following = self.files.get_file_info([_commit(version), _commit(version + 1)])
        there = own.type == FileType.File and own.mtime_ns == self.written
        return bool(there and following.type == FileType.NotFound)


def _commit(version: int) -> str:
    return f"_delta_log/{version:020}.json"


def _column(known: pl.Schema, name: str, kind: pl.DataType) -> pl.Expr:
    """A column as the schema has it; plain where it is so already, so that filters and choices of columns get through
    to the files."""
    if known.get(name) == kind:
        return pl.col(name)
    return (pl.col(name) if name in known else pl.lit(None)).cast(kind).alias(name)


def _with_columns(delta: DeltaTable, schema: Schema) -> DeltaTable:
    """Add the columns that an older version of this code did not have."""
    known = {field.name for field in delta.schema().fields}
    missing = [field for field in schema.fields if field.name not in known]
    if missing:
        try:
            delta.alter.add_columns(missing)
        except CommitFailedError:  # somebody else added them first
            delta.update_incremental()
    return delta


def _status(name: str, delta: DeltaTable) -> TableStatus:
    files = pl.DataFrame(delta.get_add_actions(flatten=True))
    return TableStatus(
        name=name,
        rows=int(files["num_records"].sum()) if files.height else 0,
        version=delta.version(),
        files=files.height,
        size=int(files["size_bytes"].sum()) if files.height else 0,
    )
