"""One run on real data: real prompts, real labels, real documents, with a tiny model. The books must balance."""

import gzip
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from configs.load import parse
from configs.settings import Settings
from flows.nightly import flywheel
from storage.lake import Lake
from tests.tiny_model import make_tiny_model

pytestmark = pytest.mark.slow


def take(source: Path, target: Path, count: int) -> str:
    """The first `count` records of a data set, in its own form."""
    text = gzip.decompress(source.read_bytes()).decode()
    if source.name.endswith(".json.gz"):
        target.write_text(json.dumps(json.loads(text)[:count]))
    else:
        target.write_text("\n".join(text.splitlines()[:count]))
    return str(target)


@pytest.fixture(scope="module")
def settings(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("real")

    def source(name: str, file: str, count: int, **more: str) -> dict[str, Any]:
        return {"name": name, "path": take(shared_data / file, folder / file.removesuffix(".gz"), count), **more}

    stage = {"max_steps": 3, "per_device_train_batch_size": 4, "max_length": 512, "learning_rate": 0.01}
    tree = {
        "lake": str(folder / "lake"),
        "model_name_or_path": str(make_tiny_model(folder / "tiny")),
        "collect": {
            "sources": [
                source("chats", "alpaca_en_demo.json.gz", 999, format="alpaca"),
                source("labels", "kto_en_demo.json.gz", 300, format="kto"),
                source("general", "gsm8k_train.jsonl.gz", 300, domain="general"),
                source("crawl", "c4_demo.jsonl.gz", 100, format="document"),
                source("wiki", "wiki_demo.txt.gz", 10, format="document"),
            ]
        },
        "synthesize": {"engine": "transformers", "instructions": 4, "pairs": 4, "samples": 2, "max_new_tokens": 16},
        "train": {"cpt": stage, "sft": stage, "dpo": stage},
        "evaluate": {"samples": 2, "max_new_tokens": 8},
        "promote": {"resamples": 1000},
    }
    return parse(tree, "the test's settings")


def test_the_books_balance_on_real_data(settings: Settings, prefect_server: str) -> None:
    result = flywheel(settings)
    lake = Lake(settings.lake)
    books = lake.read("books").filter(pl.col("kind") != "fact").collect()
    balance = books.pivot("kind", index=["batch", "step"], values="value", aggregate_function="sum").fill_null(0)
    assert balance.filter(pl.col("in") != pl.col("out")).is_empty(), balance

    collected = lake.read("interactions").collect()
    assert collected.height > 1300
    count = {name: lake.read(name, batch=result.batch).collect() for name in ("curated", "duplicates", "quarantine")}
    users = count["curated"].filter(pl.col("origin") == "user")
    left_out = set(count["duplicates"]["id"]) | set(count["quarantine"]["id"])
    missing = set(collected["id"]) - set(users["id"]) - left_out
    assert not missing, f"{len(missing)} of {collected.height} rows are neither curated nor accounted for"
    assert not set(users["id"]) & set(count["duplicates"]["id"])
    assert users.height > 0.8 * collected.height
    assert set(users["split"]) == {"train", "validation", "holdout"}
    trained = lake.read("models").filter(pl.col("kind") == "lm").collect()
    assert {"base", "cpt", "sft"} <= set(trained["stage"])
    assert result.verdict in {"promote", "hold", "reject"}
