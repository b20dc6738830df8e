"""What scrubbing leaves: frames for its tables, and the second look over a sample."""

import json
from collections.abc import Mapping, Sequence

import polars as pl

from configs.settings import ScrubSettings
from storage.snapshot import digest
from storage.tables import TABLES
from tasks.scrub.conversations import Look, Row, findings_of
from tasks.scrub.fields import rewrite
from tasks.scrub.finding import ScrubError
from tasks.scrub.languages import latin_model
from tasks.scrub.paragraphs import named, paragraphs


def scrubbed_rows(rows: Sequence[Row]) -> pl.DataFrame:
    """Rows for the table `scrubbed`, sorted by id."""
    schema = TABLES["scrubbed"].schema
    columns = [name for name in schema if name not in {"batch", "step"}]
    return pl.DataFrame(rows, schema={name: schema[name] for name in columns}).sort("id")


def quarantine_rows(rows: Sequence[Row], refused: Mapping[str, str]) -> pl.DataFrame:
    """Rows for the table `quarantine`: the conversation as it came, with the reason."""
    frame = [
        {
            "id": row["id"],
            "source": row["source"],
            "reason": f"scrub: {refused[row['id']]}",
            "content": json.dumps({"messages": row["messages"], "tools": row["tools"]}, ensure_ascii=False),
        }
        for row in rows
        if row["id"] in refused
    ]
    return pl.DataFrame(frame, schema=dict.fromkeys(("id", "source", "reason", "content"), pl.String)).sort("id")


def placeholder_rows(rows: Sequence[Mapping[str, str]]) -> pl.DataFrame:
    """Rows for the table `placeholders`, sorted by id."""
    return pl.DataFrame(rows, schema=dict.fromkeys(("id", "conversation", "placeholder"), pl.String)).sort("id")


def recheck(rows: Sequence[Row], settings: ScrubSettings, look: Look) -> dict[str, float]:
    """A second look at a sample of scrubbed rows: how many rows, and how much is still found in them.

    Args:
        rows: scrubbed rows.
        settings: what is looked for, and the size of the sample.
        look: finds what is in paragraphs, without memory.
    """
    sample = sorted(rows, key=lambda row: digest("recheck", row["id"]))[: settings.recheck]
    texts: list[tuple[str | None, str, str]] = []
    for row in sample:
        model = latin_model(row, settings)

        def note(name: str, text: str, model: str | None = model) -> str:
            texts.append((model, name, text))
            return text

        rewrite(row, note)
    units = dict.fromkeys(
        (model, paragraph) for model, name, text in texts for _, paragraph in paragraphs(named(name, text)[1])
    )
    looked = look(list(units))
    left = 0
    for model, name, text in texts:
        try:
            left += len(findings_of(text, name, model, looked))
        except ScrubError:
            left += 1
    return {"recheck_rows": len(sample), "recheck_findings": left}
