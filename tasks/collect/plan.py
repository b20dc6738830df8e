"""Which bytes of which files belong to which batch: written to the table `sources` before anything is read.

A plan is one Delta commit with a transaction number, so that of two collectors that plan at once one wins and the
other looks again. A batch that was planned but not published, because its collector was killed, is found here and
read again from the same bytes.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import polars as pl
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError

from configs.settings import Source
from storage.lake import Lake, LakeError
from storage.publish import ATTEMPTS, conform
from storage.snapshot import digest
from tasks.records.containers import COMPRESSIONS, container, whole_lines
from tasks.records.files import File

log = logging.getLogger(__name__)
STEP = "collect"
APP = "collect/plan"
PACKED = 6
PACKED_NAMES = (*COMPRESSIONS, ".parquet", ".xlsx")
"""A byte of such files counts as so many of text when a batch is filled."""


@dataclass(frozen=True)
class Piece:
    """Bytes of a file that belong to a batch.

    Args:
        digest: of the bytes before `end`: tells a grown file from a replaced one, and finds a renamed one.
        stamp: of the whole file when it was planned: while it is the same, the file is not opened again.
    """

    source: str
    uri: str
    start: int
    end: int
    digest: str
    stamp: str

    @property
    def id(self) -> str:
        return digest(self.source, self.uri, str(self.start), str(self.end), self.digest)


def plan(lake: Lake, sources: Sequence[Source], files: Mapping[str, Sequence[File]], limit: int) -> str | None:
    """Plan the next batch from what is new in the sources.

    Args:
        lake: where the plan is kept.
        sources: the sources in their order.
        files: the files of each source, as they are now.
        limit: bytes of input in a batch; a file that cannot be cut may exceed it.

    Returns:
        The id of the batch; None when nothing is new.

    Raises:
        LakeError: other collectors kept winning.
    """
    for _ in range(ATTEMPTS):
        delta = lake.ensure("sources")
        pieces = _limited(new_pieces(sources, files, _planned(delta), limit), limit)
        if not pieces:
            return None
        number = (delta.transaction_version(APP) or 0) + 1
        batch = f"{number:04d}-{digest(*(piece.digest for piece in pieces))[:8]}"
        rows = pl.DataFrame([{"id": piece.id, "batch": batch, "step": STEP, **asdict(piece)} for piece in pieces])
        rows = rows.with_columns(planned_at=pl.lit(datetime.now(UTC)))
        properties = CommitProperties(app_transactions=[Transaction(APP, number)])
        try:
            write_deltalake(delta, conform("sources", rows), mode="append", commit_properties=properties)
        except CommitFailedError:
            continue
        return batch
    raise LakeError(f"Table sources: {ATTEMPTS} plans in a row were overtaken by other collectors; run it again.")


def has_news(lake: Lake, sources: Sequence[Source], files: Mapping[str, Sequence[File]], limit: int) -> bool:
    """Whether `plan` would plan a batch; nothing is written. For the arguments see there."""
    delta = lake.delta("sources")
    planned = lake.read("sources").collect() if delta is None else _planned(delta)
    return next(new_pieces(sources, files, planned, limit), None) is not None


def pieces_of(lake: Lake, batch: str) -> list[Piece]:
    """The plan of a batch, in the order in which it is read."""
    rows = lake.read("sources", batch=batch).collect().select(list(Piece.__dataclass_fields__))
    return sorted((Piece(*row) for row in rows.iter_rows()), key=lambda piece: (piece.source, piece.uri, piece.start))


def withdraw(lake: Lake, batch: str, pieces: Sequence[Piece]) -> None:
    """Take pieces out of the plan of a batch that is not published: they are planned anew when they are there again."""
    names = ", ".join(f"'{piece.id}'" for piece in pieces)
    for piece in pieces:
        log.warning("collect: %s is not there any more; it is taken in when it comes back", piece.uri)
    for _ in range(ATTEMPTS):
        try:
            lake.ensure("sources").delete(f"batch = '{batch}' AND id IN ({names})")
        except CommitFailedError:
            continue
        return


def locate(piece: Piece, files: Sequence[File]) -> File | None:
    """The file that holds a piece's bytes, under its old name or, after a rotation, under another one."""
    by_name = sorted(files, key=lambda file: file.uri != piece.uri)
    return next((file for file in by_name if file.size >= piece.end and file.digest(piece.end) == piece.digest), None)


def new_pieces(
    sources: Sequence[Source], files: Mapping[str, Sequence[File]], planned: pl.DataFrame, limit: int
) -> Iterator[Piece]:
    """What is in the files and not in the plan."""
    for source in sources:
        known = planned.filter(pl.col("source") == source.name)
        newest = {row["uri"]: row for row in known.iter_rows(named=True)}
        ends = {(row["end"], row["digest"]) for row in known.iter_rows(named=True)}
        for file in files[source.name]:
            row = newest.get(file.uri)
            if row is not None and row["end"] == file.size and row["stamp"] == file.stamp:
                continue
            yield from _of_file(source, file, _seen(file, ends), limit)


def _of_file(source: Source, file: File, seen: int, limit: int) -> Iterator[Piece]:
    how = container(file)
    if how is None:
        log.warning("collect: %s is left out: neither its name nor its content says what it is", file.uri)
        return
    if not how.grows:
        if seen != file.size:
            yield Piece(source.name, file.uri, 0, file.size, file.digest(file.size), file.stamp)
        return
    start = seen
    while (end := whole_lines(file, start, limit)) > start:
        yield Piece(source.name, file.uri, start, end, file.digest(end), file.stamp)
        start = end


def _seen(file: File, ends: set[tuple[int, str]]) -> int:
    """How many bytes of a file were planned before, under whatever name."""
    within = [(end, known) for end, known in sorted(ends, reverse=True) if end <= file.size]
    heads = file.heads(end for end, _ in within)
    return next((end for end, known in within if known.startswith(heads[end]) and file.digest(end) == known), 0)


def _limited(pieces: Iterator[Piece], limit: int) -> list[Piece]:
    taken: list[Piece] = []
    room = limit
    for piece in pieces:
        weight = (piece.end - piece.start) * (PACKED if piece.uri.endswith(PACKED_NAMES) else 1)
        if taken and weight > room:
            break
        taken.append(piece)
        room -= weight
    return taken


def _planned(delta: DeltaTable) -> pl.DataFrame:
    return pl.scan_delta(delta).sort("batch", "start").collect()
