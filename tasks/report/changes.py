"""What changed since the batch before: the figures of both, and what a person set differently in between."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from storage.lake import Lake
from tasks.report import judged, tables

NOTABLE = 0.25
"""Relative change from which on a figure stands out; nights differ by a tenth for no reason."""


@dataclass(frozen=True)
class Change:
    """A figure of both batches; `how` it is written: count, share or figure."""

    title: str
    how: str
    before: float | None
    now: float | None

    @property
    def relative(self) -> float | None:
        """By how much of the former figure it grew; None where that cannot be said."""
        if self.before is None or self.now is None:
            return None
        if self.before == self.now:
            return 0.0
        return (self.now - self.before) / abs(self.before) if self.before else None

    @property
    def notable(self) -> bool:
        """Whether it changed by more than nights do by themselves."""
        return self.before != self.now if self.relative is None else abs(self.relative) >= NOTABLE


@dataclass(frozen=True)
class Changes:
    """Since batch `before`: figures, settings `(stage, name, before, now)`, and kinds of personal data that are new."""

    before: str
    figures: tuple[Change, ...]
    settings: tuple[tuple[str, str, Any, Any], ...]
    new_entities: tuple[str, ...]


def changes(lake: Lake, batch: str) -> Changes | None:
    """The changes since the batch before; None for the first one."""
    before = tables.batch_before(lake, batch)
    if before is None:
        return None
    then, now = _figures(lake, before), _figures(lake, batch)
    known = {name for name, _ in tables.entities(lake, before)}
    return Changes(
        before=before,
        figures=tuple(Change(title, how, then.get((title, how)), now.get((title, how))) for title, how in then | now),
        settings=tuple(_settings(lake, before, batch)),
        new_entities=tuple(name for name, _ in tables.entities(lake, batch) if name not in known),
    )


def _figures(lake: Lake, batch: str) -> dict[tuple[str, str], float]:
    """Each figure of a batch by its title and how it is written, in the order of the pipeline."""
    steps = {row.step: row for row in tables.funnel(lake, batch) if not row.synthetic}
    found: dict[tuple[str, str], float] = {}
    if "collect" in steps:
        collected = steps["collect"]
        found["Records collected", "count"] = collected.rows_in
        found["Quarantined", "share"] = _share(collected, "quarantined")
    if "dedupe" in steps:
        found["Duplicates", "share"] = _share(steps["dedupe"], "duplicates")
    if "scrub" in steps:
        replaced = sum(count for _, count in tables.entities(lake, batch))
        found["Personal data per row", "figure"] = replaced / (steps["scrub"].rows_in or 1)
    if "score" in steps:
        found["Rows curated", "count"] = dict(steps["score"].out).get("curated", 0)
    found |= _middles(lake, batch)
    for row in tables.losses(lake, batch):
        found[f"{row.stage.upper()}: rows", "count"] = row.rows
        found[f"{row.stage.upper()}: tokens", "count"] = row.tokens
        found[f"{row.stage.upper()}: loss at the end", "figure"] = row.last
    if (verdict := judged.verdict(lake, batch)) is not None and verdict.primary is not None:
        found["Champion, on its held-out items", "figure"] = verdict.primary.champion
        found["Challenger", "figure"] = verdict.primary.challenger
    return found


def _share(row: tables.FunnelRow, *names: str) -> float:
    return sum(rows for name, rows in row.out if name in names) / (row.rows_in or 1)


def _middles(lake: Lake, batch: str) -> dict[tuple[str, str], float]:
    """Medians of the scores that were measured."""
    shown = {
        "perplexity": ("Perplexity, median", "figure"),
        "reward": ("Reward, median", "figure"),
        "chars": ("Characters, median", "count"),
    }
    rows = lake.read("curated", batch=batch).select(pl.col(shown.keys()).median()).collect().row(0, named=True)
    return {shown[name]: float(value) for name, value in rows.items() if value is not None}


def _settings(lake: Lake, before: str, batch: str) -> Iterator[tuple[str, str, Any, Any]]:
    """Settings of mixing and training that both batches had, and had differently."""
    then, now = ({one["stage"]: one for one in tables.trainings(lake, name)} for name in (before, batch))
    for stage in (name for name in now if name in then):
        old, new = (_flat(found[stage]["settings"]) for found in (then, now))
        for name in sorted(old.keys() & new.keys()):
            if old[name] != new[name]:
                yield stage, name, old[name], new[name]


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings by their dotted names."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat
