"""What the `flywheel` command prints: the summary of a run, the state of a lake."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import polars as pl
from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table

from storage import verdicts
from storage.evidence import Comparison
from storage.lake import Lake, LakeError
from tasks.report import judged, tables
from tasks.report.page import write

if TYPE_CHECKING:  # importing it takes seconds, which `flywheel status` need not wait for
    from flows.erase import Erasure

COLORS = {
    "promote": "green",
    "wait": "cyan",
    "hold": "yellow",
    "reject": "red",
    "decline": "red",
    "rollback": "yellow",
}
SPARKS = "▁▂▃▄▅▆▇█"
BAR = 20  # characters
LAST = 3
"""Models of a lineage that are named besides the first."""


def print_summary(console: Console, lake: Lake, batch: str, report: str | None) -> None:
    """Print what a run did: funnel, trainings, champion against challenger, verdict, and where the report lies."""
    console.print()
    print_funnel(console, lake, batch)
    if trainings := tables.losses(lake, batch):
        console.print(_losses_table(lake, batch, trainings))
    if comparisons := judged.comparison(lake, batch):
        console.print(_comparison_table(comparisons))
    console.print(_verdict_panel(lake, batch))
    console.print(f"Report: [bold]{report}[/]", soft_wrap=True)


def print_funnel(console: Console, lake: Lake, batch: str) -> None:
    """Print what went into each step of a batch, and what became of it."""
    table = _table(f"Batch {batch}", "step", "in>", "what became of it")
    for row in tables.funnel(lake, batch):
        if row.synthetic and not row.rows_in:
            continue
        out = ", ".join(f"[bold]{count:,}[/] {name}" for name, count in row.out) or "-"
        table.add_row(row.title + (" [dim](synthetic)[/]" if row.synthetic else ""), f"{row.rows_in:,}", out)
    console.print(table)
    entities = ", ".join(f"[bold]{count:,}[/] {name}" for name, count in tables.entities(lake, batch))
    console.print(f"Scrubbed: {entities or 'nothing found'}\n")


def print_status(console: Console, lake: Lake) -> None:
    """Print a lake's tables, models and verdicts."""
    table = _table(f"Lake {lake.path()}", "table", "rows>", "version>", "files>", "size>")
    for one in lake.status():
        table.add_row(one.name, f"{one.rows:,}", str(one.version), str(one.files), _size(one.size))
    console.print(table)
    champion = verdicts.champion(lake)
    console.print(f"\nChampion: [bold green]{champion or 'none yet'}[/]", _lineage(lake, champion))
    for model in verdicts.waiting(lake):
        console.print(f'[cyan]{model} waits for approval:[/] flywheel promote CONFIG {model} "why"')
    history = [verdict for verdict in judged.verdicts(lake) if verdict.primary]
    if history:
        deltas = [found.primary.delta for found in judged.last_verdicts(history) if found.primary]
        console.print(f"Better by, run after run: {sparkline(deltas)}  last {deltas[-1]:+.3f}")
    for verdict in history[-5:]:
        color = COLORS[verdict.verdict]
        age = _age(verdict.decided_at)
        console.print(f"  [{color}]{verdict.verdict:8}[/] {verdict.model}  [dim]batch {verdict.batch}, {age} ago[/]")


def print_mixture(console: Console, manifest: Mapping[str, Any], skipped: str | None) -> None:
    """Print what a mixture is made of, source by source, what was left out, and what is missing."""
    title = f"{manifest['stage'].upper()}" + (f"  [dim]mixture {manifest['id']}[/]" if "id" in manifest else "")
    table = _table(title, "source", "from", "wanted>", "share>", "", "rows>", "of>", "trained tokens>", "")
    for name, part in manifest["parts"].items():
        wanted = "the rest" if part["weight"] is None else f"{part['weight']:.0%}"
        table.add_row(
            name,
            f"{part['table']} v{part['version']}" if "table" in part else str(part["path"]),
            wanted,
            f"[bold]{part['share']:.1%}[/]",
            "█" * round(BAR * part["share"]) + "[dim]" + "░" * (BAR - round(BAR * part["share"])) + "[/]",
            f"{part['rows']:,}",
            f"{part['available']:,}",
            f"{part['trained_tokens']:,}",
            _remark(part),
        )
    if manifest["parts"]:
        console.print(table)
        console.print(f"{manifest['rows']:,} rows, {manifest['trained_tokens']:,} trained tokens of ", end="")
        console.print(f"{manifest['tokens']:,}; chat template {manifest['template_hash']}")
        left = ", ".join(f"{count:,} {reason}" for reason, count in manifest["dropped"].items())
        console.print(f"[dim]Left out: {left or 'nothing'}[/]", soft_wrap=True)
    if skipped:
        console.print(f"[yellow]{manifest['stage'].upper()} would be skipped:[/] {skipped}", soft_wrap=True)
    console.print()


def _remark(part: Mapping[str, Any]) -> str:
    """What a person should know of a part of a mixture."""
    remarks = [f"[yellow]{part['missing_tokens']:,} tokens short[/]"] if part["short"] else []
    remarks += [f"{part['repeated']:,} repeated"] if part["repeated"] else []
    return ", ".join(remarks)


def print_erasure(console: Console, what: "Erasure", *, erased: bool) -> None:
    """Print what was erased, or would be, and what a person has to do about the rest."""
    if what.empty:
        console.print("Nothing here comes from them." + (" What is collected of them stays out." if erased else ""))
        _print_logs(console, what)
        return
    table = _table("Erased" if erased else "Would be erased", "table", "rows>")
    for name, count in what.rows.items():
        if count:
            table.add_row(name, f"{count:,}")
    if what.spooled:
        table.add_row("the collector's spool", f"{what.spooled:,}")
    console.print(table)
    if what.mixtures:
        console.print(f"Mixtures that cannot be made again: {', '.join(what.mixtures)}")
    if what.models:
        console.print(f"Models that learned from it, and still know it: [bold]{', '.join(what.models)}[/]. Train anew.")
    _print_logs(console, what)
    if erased:
        console.print("Old versions of the tables hold it until `flywheel maintain` (maintain.vacuum_hours).")
    else:
        console.print("Nothing was changed: say --yes to erase.")


def _print_logs(console: Console, what: "Erasure") -> None:
    for file in what.logs:
        console.print(f"May still hold it, and is yours to change: {file}", soft_wrap=True)


def write_report(lake: Lake, batch: str | None) -> str:
    """Write the report of a batch (the newest by default) again.

    Returns:
        Its path.

    Raises:
        LakeError: no such batch, or no batch at all.
    """
    known = lake.read("runs", step="start").select("batch").unique().sort("batch").collect()["batch"].to_list()
    if not known:
        raise LakeError(f"No run has begun in {lake.uri} yet: `flywheel run CONFIG` begins one.")
    if batch is not None and batch not in known:
        raise LakeError(f"No batch {batch} in {lake.uri}; there are: {', '.join(known[-5:])}.")
    return str(write(lake, batch or known[-1]))


def sparkline(values: list[float]) -> str:
    """Values as a line of bars, lowest to highest."""
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    return "".join(SPARKS[round((value - low) / span * (len(SPARKS) - 1))] for value in values)


def _table(title: str, *columns: str) -> Table:
    """A plain table; a name that ends in ">" is a column of figures."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for name in columns:
        side: Literal["right", "left"] = "right" if name.endswith(">") else "left"
        table.add_column(name.removesuffix(">"), justify=side, overflow="fold", no_wrap=name != columns[-1])
    return table


def _losses_table(lake: Lake, batch: str, trainings: list[tables.LossRow]) -> Table:
    parts = pl.DataFrame(
        [(row.stage, f"{row.part} {row.share:.0%}") for row in tables.mixture(lake, batch)],
        schema={"stage": pl.String, "part": pl.String},
        orient="row",
    )
    shares = dict(parts.group_by("stage", maintain_order=True).agg(pl.col("part").str.join(", ")).iter_rows())
    table = _table("Training", "stage", "rows>", "trained tokens>", "loss>", "", "seconds>", "mixture")
    for row in trainings:
        curve = sparkline([loss for _, loss in row.curve]) if row.curve else ""
        loss = f"{row.first:.3f} -> [bold]{row.last:.3f}[/]"
        table.add_row(
            row.stage, f"{row.rows:,}", f"{row.tokens:,}", loss, curve, f"{row.seconds:.0f}", shares.get(row.stage, "")
        )
    return table


def _comparison_table(comparisons: list[Comparison]) -> Table:
    table = Table(
        title="\nChampion against challenger", title_justify="left", title_style="bold", box=None, pad_edge=False
    )
    for name in ("metric", "role", "champion", "challenger", "better by", "at least", "items", ""):
        table.add_column(name, justify="left" if name in {"metric", "role", ""} else "right")
    for row in comparisons:
        mark = {True: "[green]passed[/]", False: "[red]not passed[/]", None: ""}[row.passed]
        table.add_row(
            row.name,
            row.role,
            f"{row.champion:.3f}",
            f"{row.challenger:.3f}",
            f"{row.delta:+.3f}",
            "" if row.passed is None else f"{row.lower:+.3f}",
            f"{row.items:,}",
            mark,
        )
    return table


def _verdict_panel(lake: Lake, batch: str) -> Panel:
    found = judged.verdict(lake, batch)
    if found is None:
        return Panel("No stage had enough new rows to train on; the champion stays.", title="No verdict")
    reasons = Group(f"{found.model} against {found.champion}", *(f"- {reason}" for reason in found.reasons))
    color = COLORS[found.verdict]
    return Panel(reasons, title=f"[bold]{found.verdict.upper()}[/]", border_style=color, title_align="left")


def _lineage(lake: Lake, champion: str | None) -> str:
    chain = shortened([row.model for row in tables.lineage(lake, champion)])
    return f"[dim]({' -> '.join(chain)})[/]" if len(chain) > 1 else ""


def shortened(chain: Sequence[str]) -> list[str]:
    """The first and the last few of a long chain: after a hundred nights the others would fill the screen."""
    left = len(chain) - LAST - 1
    return [chain[0], f"{left} more", *chain[-LAST:]] if left > 1 else list(chain)


def _size(size: float) -> str:
    for unit in ("B", "KB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def _age(moment: datetime) -> str:
    minutes = (datetime.now(UTC) - moment).total_seconds() / 60
    if minutes < 120:
        return f"{minutes:.0f} min"
    return f"{minutes / 60:.0f} h" if minutes < 2880 else f"{minutes / 1440:.0f} days"
