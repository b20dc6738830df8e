"""What a run shows on its page in the Prefect UI: tables, text, and the report's key charts as pictures."""

import os
from pathlib import Path
from typing import Any

from prefect.artifacts import (
    create_image_artifact,
    create_link_artifact,
    create_markdown_artifact,
    create_table_artifact,
)

from storage.evidence import Comparison, Evidence
from storage.lake import Lake
from storage.verdicts import Decision
from tasks.report import judged, tables
from tasks.report.pictures import pictures

Rows = list[dict[str, Any]]
REPORTS_VARIABLE = "FLYWHEEL_REPORTS_URL"
"""Where the folder reports of the lake can be seen by browsers, if it can."""


def publish_artifacts(lake: Lake, batch: str, report: str) -> None:
    """Publish a batch's figures, and a link to its report, as artifacts of the run that this is called in."""
    create_link_artifact(report_link(report), link_text=f"Report of {batch}", key="report", description=report)
    create_table_artifact(funnel_rows(lake, batch), key="funnel", description=f"Batch {batch}: in = the sum of out.")
    create_markdown_artifact(funnel_text(lake, batch), key="funnel-summary", description=f"Batch {batch}")
    create_table_artifact(mixture_rows(lake, batch), key="mixture", description="What each stage was trained on.")
    create_table_artifact(comparison_rows(lake, batch), key="comparison", description="Champion against challenger.")
    create_markdown_artifact(verdict_text(lake, batch), key="verdict", description=f"Batch {batch}")
    for picture in pictures(lake, batch):
        create_image_artifact(picture.address, key=picture.name, description=picture.title)


def report_link(report: str) -> str:
    """The address of a report: on the web server of the environment, else as a file of this machine."""
    if base := os.environ.get(REPORTS_VARIABLE):
        return f"{base.rstrip('/')}/{Path(report).name}"
    return Path(report).resolve().as_uri()


def funnel_rows(lake: Lake, batch: str) -> Rows:
    """A row per step: rows in, and what became of them."""
    return [
        {
            "step": row.title + (" (synthetic)" if row.synthetic else ""),
            "in": row.rows_in,
            "out": ", ".join(f"{count:,} {name}" for name, count in row.out),
        }
        for row in tables.funnel(lake, batch)
    ]


def mixture_rows(lake: Lake, batch: str) -> Rows:
    """A row per part of a stage's mixture."""
    return [
        {
            "stage": row.stage,
            "part": row.part,
            "rows": row.rows,
            "trained tokens": row.trained_tokens,
            "share": f"{row.share:.0%}",
        }
        for row in tables.mixture(lake, batch)
    ]


def comparison_rows(lake: Lake, batch: str) -> Rows:
    """A row per metric."""
    return [_comparison_row(row) for row in judged.comparison(lake, batch)]


def funnel_text(lake: Lake, batch: str) -> str:
    """The funnel in Markdown, with the entities that were scrubbed and the loss of each training."""
    lines = ["| step | in | out |", "|---|---|---|"]
    lines += [f"| {row['step']} | {row['in']:,} | {row['out']} |" for row in funnel_rows(lake, batch)]
    entities = ", ".join(f"{count:,} {name}" for name, count in tables.entities(lake, batch)) or "none"
    losses = [f"- {row.stage}: loss {row.first:.3f} -> {row.last:.3f}" for row in tables.losses(lake, batch)]
    return "\n".join([f"# Batch {batch}", "", *lines, "", f"Scrubbed: {entities}", "", *losses])


def verdict_text(lake: Lake, batch: str) -> str:
    """The verdict in Markdown, with every reason."""
    found = judged.verdict(lake, batch)
    if found is None:
        return "# No verdict\n\nNo stage had enough new rows to train on; the champion stays."
    reasons = "\n".join(f"- {reason}" for reason in found.reasons)
    return f"# {judged.VERDICTS[found.verdict]}\n\n`{found.model}` against `{found.champion}`:\n\n{reasons}"


def evidence_text(batch: str, decision: Decision) -> str:
    """What a person sees who is to decide about a model, in Markdown: the reasons, and each metric with its bounds."""
    rows = [_comparison_row(metric) for metric in Evidence.from_dict(decision.evidence).metrics]
    names = list(rows[0]) if rows else []
    lines = [names, ["---"] * len(names), *([str(value) for value in row.values()] for row in rows)]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines if names)
    reasons = "\n".join(f"- {reason}" for reason in decision.reasons)
    head = f"# Shall `{decision.model}` serve instead of `{decision.champion}`?"
    return f"{head}\n\nBatch {batch}; its report has samples side by side.\n\n{reasons}\n\n{table}"


def _comparison_row(row: Comparison) -> dict[str, Any]:
    return {
        "metric": row.name,
        "role": row.role,
        "champion": round(row.champion, 4),
        "challenger": round(row.challenger, 4),
        "better by": f"{row.delta:+.4f} ({row.lower:+.4f} to {row.upper:+.4f})",
        "items": row.items,
        "passed": {True: "yes", False: "no", None: ""}[row.passed],
    }
