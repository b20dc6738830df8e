"""Synthesis in shards on a real server: every shard is a run of its own, by another worker."""

from pathlib import Path

import httpx
import polars as pl
import pytest

from configs.mistake import Mistake
from flows.curate import synthesize_shard
from storage.lake import Lake
from tests.flows.server import start, wait
from tests.flows.small import small_settings

pytestmark = pytest.mark.slow


def test_shards_run_elsewhere_and_are_curated_here(api: httpx.Client, tmp_path: Path, tiny_model: Path) -> None:
    small = small_settings(tmp_path, tiny_model)
    asked = small.synthesize.model_copy(update={"shards": 2, "instructions": 5})
    for name in ("curate", "synthesize"):
        deployment = api.get(f"/deployments/name/{name}/{name}").raise_for_status().json()["id"]
        state = wait(api, start(api, deployment, small.model_copy(update={"synthesize": asked})), 300)
        assert state["type"] == "COMPLETED", state
    named = {"flows": {"name": {"any_": ["synthesize-shard"]}}}
    shards = api.post("/flow_runs/filter", json=named).raise_for_status().json()
    assert sorted((one["parameters"]["shard"], one["state"]["type"]) for one in shards) == [
        (0, "COMPLETED"),
        (1, "COMPLETED"),
    ]
    lake = Lake(small.lake)
    tried = lake.read("books", step="synthesize").filter(kind="in").sort("batch").collect()
    assert tried["value"].to_list() == [2, 3]
    curated = lake.read("books", step="score").filter(pl.col("batch").str.contains("-synthetic")).collect()
    assert curated["batch"].unique().sort().to_list() == tried["batch"].to_list()


def test_a_shard_that_there_is_not_is_a_mistake(tmp_path: Path, tiny_model: Path) -> None:
    with pytest.raises(Mistake, match="There is no shard 1"):
        synthesize_shard.fn(small_settings(tmp_path, tiny_model), shard=1)
