"""A lake with curated conversations, and models that are asked about them."""

import random
from datetime import UTC, datetime

import polars as pl

from configs.settings import SynthesizeSettings
from storage.lake import Lake
from storage.publish import publish
from storage.registry import Model
from storage.snapshot import Snapshot, digest
from storage.tables import TABLES

THINGS = ["invoice", "printer", "calendar", "password", "backup", "template", "webhook", "notebook", "table", "export"]
VERBS = [f"{one}{thing}" for one in ("re", "un", "pre") for thing in THINGS]
SYSTEM = "You are the assistant of Quillbay."


def curated_row(number: int, **changes) -> dict:
    thing = THINGS[number % len(THINGS)]
    return {
        "id": f"row-{number:03d}",
        "kind": "conversation",
        "source": "chats",
        "occurred_at": datetime(2026, 3, 1, tzinfo=UTC),
        "conversation_id": f"conversation-{number}",
        "messages": [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": f"Where do I find my {thing} in version {number}?"},
            {"role": "assistant", "content": f"The {thing} is in Settings."},
        ],
        "language": "en",
        "domain": "product",
        "origin": "user",
        "split": "train",
        "refusal": False,
        "repetition": 0.0,
    } | changes


def curate(lake: Lake, rows: list[dict], batch: str = "0001-abc") -> Snapshot:
    schema = {name: kind for name, kind in TABLES["curated"].schema.items() if name in rows[0]}
    frame = pl.DataFrame(rows, schema=schema)
    return publish(lake, "curated", frame, step="score", batch=batch, key=digest(str(rows)))


def writing(folder: str = "unused") -> Model:
    """The model that writes, unless an endpoint does."""
    return Model(id="base-1", kind="lm", stage="base", path=folder, template_hash="t")


def writer(body, before):
    """A model that always has a new idea, and answers."""
    asked = body["messages"][-1]["content"]
    if asked != "Write a new message.":
        return f"Here is how: {asked.lower()}"
    return "Invented: " + " ".join(random.Random(body["seed"]).sample(VERBS, 5)) + "?"


def settings(url: str, **changes) -> SynthesizeSettings:
    return SynthesizeSettings(**{"engine": "openai", "endpoints": (url,), "instructions": 12, "pairs": 6} | changes)


def books(lake: Lake, step: str) -> dict[tuple[str, str], float]:
    rows = lake.read("books", step=step).collect()
    return {(row["kind"], row["name"]): row["value"] for row in rows.iter_rows(named=True)}


def in_process(**changes) -> SynthesizeSettings:
    return SynthesizeSettings(
        **{"engine": "transformers", "instructions": 4, "pairs": 6, "max_new_tokens": 8} | changes
    )
