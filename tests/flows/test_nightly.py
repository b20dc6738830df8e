"""The whole pipeline on part of the sample: once, again with nothing new, and with one more night."""

from pathlib import Path

import polars as pl
import pytest
from prefect import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName
from prefect.flow_engine import run_flow_sync

from configs.settings import Settings
from flows.guard import TAG
from flows.nightly import RunResult, flywheel
from storage import registry
from storage.lake import Lake
from tests.flows.small import SAMPLE, small_settings

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> tuple[Settings, RunResult]:
    """As a run of the deployment, which has its tag from there."""
    settings = small_settings(tmp_path_factory.mktemp("nightly"), tiny_model)
    with get_client(sync_client=True) as client:
        run = client.create_flow_run(flywheel, parameters={"settings": settings}, tags=[TAG])
    result = run_flow_sync(flywheel, run, {"settings": settings})
    assert isinstance(result, RunResult)
    return settings, result


def books(lake: Lake) -> pl.DataFrame:
    """For each step and batch: rows in, and the sum of what came out."""
    rows = lake.read("books").filter(pl.col("kind") != "fact").collect()
    return rows.pivot("kind", index=["batch", "step"], values="value", aggregate_function="sum").fill_null(0)


def versions(lake: Lake) -> dict[str, int]:
    return {table.name: table.version for table in lake.status()}


def test_every_step_leaves_its_table(first: tuple[Settings, RunResult]) -> None:
    settings, result = first
    lake = Lake(settings.lake)
    filled = {table.name for table in lake.status() if table.rows}
    assert filled >= {
        "sources", "interactions", "quarantine", "feedback", "duplicates", "signatures", "scrubbed", "splits",
        "curated", "preferences", "mixtures", "manifests", "models", "evaluations", "promotions", "books", "runs",
    }  # fmt: skip
    assert Path(result.report or "").is_file()
    trained = {row["stage"]: row for row in registry.models(lake).filter(kind="lm").iter_rows(named=True)}
    assert set(trained) == {"base", "cpt", "sft", "dpo"}
    for stage, before in (("cpt", "base"), ("sft", "cpt"), ("dpo", "sft")):
        assert trained[stage]["parent"] == trained[before]["id"]
    assert result.verdict in {"promote", "hold", "reject"}


def test_trainings_are_watched_as_the_run_is(first: tuple[Settings, RunResult]) -> None:
    named = FlowRunFilterName(any_=[f"train-{stage} in {first[0].lake}" for stage in ("cpt", "sft", "dpo")])
    with get_client(sync_client=True) as client:
        trainings = client.read_flow_runs(flow_run_filter=FlowRunFilter(name=named))
    assert [run.tags for run in trainings] == [[TAG]] * 3


def test_books_balance_at_every_step(first: tuple[Settings, RunResult]) -> None:
    balance = books(Lake(first[0].lake))
    assert balance.height >= 8
    assert balance.filter(pl.col("in") != pl.col("out")).is_empty(), balance


def test_no_id_stands_twice(first: tuple[Settings, RunResult]) -> None:
    lake = Lake(first[0].lake)
    for table in ("interactions", "scrubbed", "curated", "splits", "preferences", "models", "evaluations"):
        ids = lake.read(table).select("id").collect()["id"]
        assert ids.is_unique().all(), table


def test_no_planted_secret_gets_past_scrubbing(first: tuple[Settings, RunResult]) -> None:
    lake = Lake(first[0].lake)
    raw = lake.read("interactions").select(pl.col("messages").list.eval(pl.element().struct.field("content"))).collect()
    addresses = raw["messages"].explode().str.extract_all(r"[\w.+-]+@(?:mail|post)[\w.-]+\.\w+").explode().drop_nulls()
    assert addresses.len() > 3
    for table in ("scrubbed", "curated", "mixtures", "preferences"):
        text = lake.read(table).collect().write_json()
        assert not any(address in text for address in set(addresses)), table


def test_only_train_rows_are_trained_on(first: tuple[Settings, RunResult]) -> None:
    lake = Lake(first[0].lake)
    sides = lake.read("splits").select("id", "split").collect()
    target = lake.read("preferences").select("id", split="split").collect()
    known = dict(pl.concat([sides, target]).iter_rows())
    mixed = lake.read("mixtures").select("id").collect()["id"]
    rows = {row.split("/")[-1] for row in mixed}
    assert rows & set(known)
    assert {known[row] for row in rows if row in known} == {"train"}


def test_again_with_nothing_new_writes_nothing(first: tuple[Settings, RunResult]) -> None:
    settings, _ = first
    lake = Lake(settings.lake)
    before = versions(lake)
    again = flywheel(settings)
    assert again.batch is None
    assert versions(lake) == before


def test_one_more_night_takes_only_its_own_rows(first: tuple[Settings, RunResult]) -> None:
    settings, result = first
    lake = Lake(settings.lake)
    before = lake.read("interactions").collect().height
    day = sorted((SAMPLE / "logs").glob("*.jsonl"))[2]
    (Path(settings.collect.sources[0].path) / day.name).write_bytes(day.read_bytes())
    second = flywheel(settings)
    assert second.batch not in {None, result.batch}
    fresh = lake.read("interactions", batch=second.batch).collect()
    assert 0 < fresh.height <= 100
    assert lake.read("interactions").collect().height == before + fresh.height
    assert books(lake).filter(pl.col("in") != pl.col("out")).is_empty()


def test_the_same_input_gives_the_same_rows_and_mixtures(
    first: tuple[Settings, RunResult], tmp_path: Path, tiny_model: Path
) -> None:
    result = first[1]
    other = small_settings(tmp_path, tiny_model).model_copy(update={"train": first[0].train})
    again = flywheel(other)
    assert again.batch == result.batch
    one, two = Lake(first[0].lake), Lake(other.lake)
    for table in ("curated", "splits"):
        columns = [name for name in one.read(table).collect_schema() if name != "entities"]
        rows = [lake.read(table, batch=result.batch).select(columns).sort("id").collect() for lake in (one, two)]
        assert rows[0].equals(rows[1]), table
    sft = [lake.read("manifests").filter(pl.col("stage") == "sft").collect()["batch"].to_list() for lake in (one, two)]
    assert set(sft[1]) <= set(sft[0])
