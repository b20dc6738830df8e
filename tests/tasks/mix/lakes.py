"""A lake with curated rows and preferences, and what mixing makes of them."""

import json
from datetime import UTC, datetime
from typing import Any

import polars as pl

from configs.mixing import RECIPE, MixSettings, MixSource
from configs.settings import CollectSettings, SelectSettings, StageSettings
from storage.erasures import Erased
from storage.lake import Lake
from storage.names import Names, user_hash
from storage.publish import publish
from storage.snapshot import digest
from tasks.mix.left_out import LeftOut
from tasks.mix.outside import file_rows
from tasks.mix.rights import Rights
from tasks.mix.sample import Sample
from tasks.mix.task import Mixture, mix
from tasks.text.sealed import sealed_rows

BATCH = "0001-aaaaaaaa"
SEALED = "Where is the parcel that left your house on Monday, please?"
OPEN = SelectSettings(perplexity_quantiles=(0, 1), max_template_share=1)
GENERAL, SYNTHETIC, USER, PREFERENCES = RECIPE


def talk(name: str, question: str = "", answer: str = "", **columns: Any) -> dict[str, Any]:
    turns = [
        {"role": "user", "content": question or f"How do I change order number {name}, please?"},
        {"role": "assistant", "content": answer or f"You change order {name} in your account, under orders."},
    ]
    return {
        "id": name,
        "kind": "conversation",
        "source": "app",
        "occurred_at": datetime(2026, 1, 1, tzinfo=UTC),
        "messages": turns,
        "language": "en",
        "domain": "product",
        "origin": "user",
        "split": "train",
        "chars": 100,
        "repetition": 0.0,
        "symbol_share": 0.0,
        "refusal": False,
    } | columns


def curate(lake: Lake, rows: list[dict[str, Any]], batch: str = BATCH) -> None:
    frame = pl.DataFrame(rows, infer_schema_length=None)
    publish(lake, "curated", frame, step="score", batch=batch, key=digest(batch))
    publish(lake, "sealed", sealed_rows(frame, lake.secret()), step="score", batch=batch, key=digest(batch))


def prefer(lake: Lake, rows: list[dict[str, Any]]) -> None:
    frame = pl.DataFrame([{"split": "train"} | row for row in rows], infer_schema_length=None)
    publish(lake, "preferences", frame, step="prefer", batch=BATCH, key=digest("prefer"))


def run(lake: Lake, model: str, stage: str = "sft", batch: str = BATCH, seed: int = 1, **settings: Any) -> Mixture:
    collect = settings.pop("collect", CollectSettings())
    wanted = MixSettings(**({"select": OPEN, "min_rows": 1} | settings))
    return mix.fn(lake, stage, batch, wanted, collect, StageSettings(max_length=256), model, seed)


def read_file(source: MixSource, stage: str = "sft", most: int = 10, seed: int = 1) -> tuple[pl.DataFrame, LeftOut]:
    """The rows of a source's files, where nobody was erased, and what is left out."""
    left_out = LeftOut()
    everybody = Rights(Erased({}, b""), Names(user_hash(b"secret"), [source.name]), CollectSettings())
    return file_rows(source, stage, everybody, most, left_out, Sample(seed, BATCH, since="")).rows, left_out


def rows_of(lake: Lake, mixture: Mixture) -> pl.DataFrame:
    assert mixture.snapshot is not None
    return lake.scan(mixture.snapshot).sort("id").collect()


def manifest_of(lake: Lake, mixture: Mixture) -> dict[str, Any]:
    assert mixture.snapshot is not None
    found: dict[str, Any] = json.loads(lake.read("manifests", batch=mixture.snapshot.batch).collect()["manifest"][0])
    return found


def books_of(lake: Lake, stage: str = "sft") -> dict[str, float]:
    books = lake.read("books", batch=BATCH, step=f"mix_{stage}").filter(pl.col("kind") == "out").collect()
    return dict(zip(books["name"], books["value"], strict=True))
