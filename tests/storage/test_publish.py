"""Exactly-once publishing, against every way to run a step twice."""

import multiprocessing
import os
import signal
from pathlib import Path

import polars as pl
import pytest
from pydantic import BaseModel

from storage import publish as publishing
from storage.lake import Lake, LakeError
from storage.publish import Books, BooksError, StepOutput, publish, run_step
from storage.snapshot import Snapshot, digest


class Setting(BaseModel):
    share: float = 0.5


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def splits(*ids: str, side: str = "train") -> pl.DataFrame:
    return pl.DataFrame({"id": list(ids), "group": list(ids), "split": [side] * len(ids)})


def work(*ids: str, side: str = "train") -> StepOutput:
    return StepOutput(main=splits(*ids, side=side), books=Books(len(ids), {side: len(ids)}), sides={})


def run(lake: Lake, output: StepOutput, setting: Setting | None = None, calls: list[int] | None = None) -> Snapshot:
    def do() -> StepOutput:
        if calls is not None:
            calls.append(1)
        return output

    return run_step(lake, step="split", batch="1", table="splits", settings=[setting or Setting()], inputs=[], work=do)


def test_the_same_work_is_done_once(lake: Lake) -> None:
    calls: list[int] = []
    first = run(lake, work("a", "b"), calls=calls)
    second = run(lake, work("a", "b"), calls=calls)
    assert len(calls) == 1
    assert first == second
    assert lake.scan(first).collect()["id"].to_list() == ["a", "b"]


def test_changed_settings_replace_and_changing_back_does_too(lake: Lake) -> None:
    for setting, side in [(Setting(), "train"), (Setting(share=0.9), "holdout"), (Setting(), "validation")]:
        run(lake, work("a", side=side), setting)
    assert lake.read("splits").collect()["split"].to_list() == ["validation"]


def test_other_batches_and_steps_stay(lake: Lake) -> None:
    publish(lake, "splits", splits("a"), step="split", batch="1", key=digest("1"))
    publish(lake, "splits", splits("b"), step="other", batch="1", key=digest("2"))
    publish(lake, "splits", splits("c"), step="split", batch="2", key=digest("3"))
    publish(lake, "splits", splits("d"), step="split", batch="1", key=digest("4"))
    assert sorted(lake.read("splits").collect()["id"]) == ["b", "c", "d"]


def test_an_empty_output_counts_as_done(lake: Lake) -> None:
    calls: list[int] = []
    run(lake, work(), calls=calls)
    run(lake, work(), calls=calls)
    assert len(calls) == 1


def test_books_that_do_not_balance_write_nothing(lake: Lake) -> None:
    with pytest.raises(BooksError, match="split: 3 rows went in, but 1 train came out"):
        run(lake, StepOutput(main=splits("a"), books=Books(3, {"train": 1})))
    assert lake.status() == []


def test_unknown_columns_are_refused(lake: Lake) -> None:
    with pytest.raises(LakeError, match="splits has no column color"):
        publish(lake, "splits", splits("a").with_columns(color=1), step="split", batch="1", key=digest("1"))


def test_a_batch_name_cannot_reach_into_another(lake: Lake) -> None:
    publish(lake, "splits", splits("a"), step="split", batch="1", key=digest("1"))
    publish(lake, "splits", splits("b"), step="split", batch="x' OR '1'='1", key=digest("2"))
    publish(lake, "splits", splits("c"), step="split", batch="x' OR '1'='1", key=digest("3"))
    assert sorted(lake.read("splits").collect()["id"]) == ["a", "c"]


def _publish_at_once(uri: str, barrier: object) -> None:
    barrier.wait()  # type: ignore[attr-defined]
    publish(Lake(uri), "splits", splits("a", "b"), step="split", batch="1", key=digest("1"))


def test_writers_at_once_leave_one_copy(lake: Lake) -> None:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(3)
    writers = [context.Process(target=_publish_at_once, args=(lake.uri, barrier)) for _ in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    assert sorted(lake.read("splits").collect()["id"]) == ["a", "b"]


def _die_before(uri: str, table: str) -> None:
    original = publishing.publish

    def dying(lake: Lake, name: str, *args: object, **options: object) -> Snapshot:
        if name == table:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(lake, name, *args, **options)  # type: ignore[arg-type]

    publishing.publish = dying
    run(Lake(uri), StepOutput(splits("a"), Books(1, {"train": 1}), sides={"quarantine": pl.DataFrame({"id": ["q"]})}))


@pytest.mark.parametrize("table", ["books", "quarantine", "splits"])
def test_a_kill_between_tables_is_carried_on(lake: Lake, table: str) -> None:
    context = multiprocessing.get_context("spawn")
    victim = context.Process(target=_die_before, args=(lake.uri, table))
    victim.start()
    victim.join()
    assert victim.exitcode == -signal.SIGKILL
    assert lake.read("splits").collect().is_empty()
    output = StepOutput(splits("a"), Books(1, {"train": 1}), sides={"quarantine": pl.DataFrame({"id": ["q"]})})
    run(lake, output)
    assert lake.read("splits").collect().height == 1
    assert lake.read("quarantine").collect().height == 1
    assert lake.read("books").filter(pl.col("kind") == "in").collect()["value"].to_list() == [1.0]
