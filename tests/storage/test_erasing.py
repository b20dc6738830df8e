"""Descent, rewriting and the memory of who was erased: over every table, and against writers at the same time."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from storage import erasures
from storage.columns import MESSAGES
from storage.lake import Lake
from storage.lineage import descent, models_with
from storage.publish import Books, StepOutput, publish, run_step
from storage.registry import Model, register
from storage.rewrite import drop, rewrite
from storage.snapshot import digest
from storage.tables import STATISTICS, TABLES
from tests.rows import write

MARKER = "marker-of-somebody"
NOBODYS = {
    "sources": "files and their hashes",
    "manifests": "counts; marked when a mixture loses rows",
    "models": "counts, losses and settings; the samples lie in the model's folder",
    "promotions": "figures, and answers that flows.erase takes out",
    "rollouts": "names of hooks and models",
    "books": "counts",
    "runs": "times",
    "erasures": "keyed hashes of what must stay out",
}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def test_every_table_says_what_its_rows_come_from() -> None:
    assert {name for name, table in TABLES.items() if not table.about} == set(NOBODYS)
    for name, table in TABLES.items():
        assert set(table.about) <= set(table.schema), name
        assert set(table.raw) <= set(table.columns), name


def test_no_column_with_text_of_people_has_statistics() -> None:
    texts = {"messages", "content", "text", "prompt", "completion", "chosen", "rejected", "preferred", "comment"}
    assert not texts & set(STATISTICS)


def filled(kind: Any, text: str) -> Any:
    """A value of a column's type, with the text wherever there is room for one."""
    if kind == pl.String:
        return text
    if kind == MESSAGES:
        return [{"role": "user", "content": text}]
    return [text] if kind == pl.List(pl.String) else None


def row(table: str, name: str, **known: Any) -> dict[str, Any]:
    columns = {key: filled(kind, f"{name} {MARKER}") for key, kind in TABLES[table].columns.items()}
    return {"id": name} | columns | known


def conversation(table: str, name: str, conversation_id: str, user: str = "u") -> dict[str, Any]:
    known = {"conversation_id": conversation_id, "user_hash": user, "metadata": None, "occurred_at": None}
    return row(table, name) | {key: value for key, value in known.items() if key in TABLES[table].schema}


def everything(lake: Lake, name: str, user: str) -> None:
    """A row of `name` and all that may be made of it, in every table."""
    about = {
        "interactions": conversation("interactions", name, f"c-{name}", user),
        "feedback": row("feedback", f"f-{name}", target_id=name, user_hash="somebody"),
        "duplicates": row("duplicates", f"d-{name}", kept_id=name),
        "signatures": row("signatures", f"d-{name}", kept_id=name),
        "scrubbed": conversation("scrubbed", name, f"c-{name}"),
        "splits": row("splits", name, group=name),
        "curated": conversation("curated", name, f"c-{name}"),
        "embeddings": row("embeddings", name),
        "reviews": row("reviews", f"r-{name}", target_id=name),
        "synthetic": conversation("synthetic", f"s-{name}", f"s-{name}") | {"seed_ids": ["other", name]},
        "sealed": row("sealed", f"{name}/said"),
        "preferences": row("preferences", f"p-{name}", target_id=name, origin="edit"),
        "mixtures": row("mixtures", f"s-{name}"),
        "evaluations": row("evaluations", f"e-{name}", group=name),
    }
    for table, made in about.items():
        write(lake, table, f"batch-{name}", [made])


def left(lake: Lake) -> dict[str, list[str]]:
    tables = {table: lake.read(table).select("id").collect()["id"].sort().to_list() for table in TABLES}
    return {table: ids for table, ids in tables.items() if ids}


@pytest.mark.parametrize(("kind", "name"), [("user", "gone"), ("conversation", "c-a"), ("row", "a")])
def test_all_that_comes_from_somebody_goes_and_the_rest_stays(lake: Lake, kind: Any, name: str) -> None:
    everything(lake, "b", "stays")
    untouched = left(lake)
    everything(lake, "a", "gone")
    found = descent(lake, kind, [name])
    for table in reversed(list(TABLES)):
        if TABLES[table].about:
            drop(lake, table, found.within(table))
    assert left(lake) == untouched


def test_a_request_that_a_longer_one_took_the_place_of_takes_it_along(lake: Lake) -> None:
    notes = '{"superseded": [{"id": "earlier", "messages": 2, "also": ["trace"]}], "other": "x"}'
    write(lake, "interactions", "1", [conversation("interactions", "later", "c") | {"metadata": notes}])
    found = descent(lake, "row", ["earlier"])
    assert found.rows == {"earlier", "later", "trace"}
    assert found.conversations == {"c"}


def test_a_mixture_row_goes_with_the_edit_that_it_teaches(lake: Lake) -> None:
    write(lake, "feedback", "1", [row("feedback", "f", target_id="theirs", user_hash="gone")])
    write(lake, "preferences", "1", [row("preferences", "f", target_id="theirs", origin="edit")])
    write(lake, "mixtures", "m", [row("mixtures", "theirs")])
    found = descent(lake, "user", ["gone"])
    assert lake.read("mixtures").filter(found.within("mixtures")).collect().height == 1
    assert "theirs" not in found.names


def test_models_trained_from_a_model_that_learned_it_are_named_too(lake: Lake) -> None:
    for name, parent, mixture in (
        ("base", None, None),
        ("sft", "base", "m"),
        ("dpo", "sft", "other"),
        ("x", "base", "y"),
    ):
        register(lake, Model(name, "lm", "sft", "/nowhere", "t", parent=parent, mixture=mixture), batch="1")
    assert models_with(lake, ["m"])["id"].to_list() == ["sft", "dpo"]


def test_rewriting_leaves_the_steps_done_and_no_name_in_the_log(lake: Lake) -> None:
    snapshot = write(
        lake, "interactions", "1", [conversation("interactions", name, name) for name in ("a", "secret-id")]
    )
    drop(lake, "interactions", pl.col("id") == "secret-id")
    again = write(lake, "interactions", "1", [conversation("interactions", name, name) for name in ("a", "secret-id")])
    assert again.fingerprint == snapshot.fingerprint
    assert lake.scan(again).collect()["id"].to_list() == ["a"]
    last = max(Path(lake.path("tables", "interactions", "_delta_log")).glob("*.json"))
    added = [line for line in last.read_text().splitlines() if not line.startswith('{"remove"')]
    assert "secret-id" not in "".join(added)


def test_rewriting_meets_a_writer_and_loses_neither(lake: Lake) -> None:
    write(lake, "splits", "1", [{"id": "a"}, {"id": "b"}])
    calls: list[int] = []

    def change(rows: pl.DataFrame) -> pl.DataFrame:
        if not calls:  # somebody replaces the batch while we think
            publish(lake, "splits", pl.DataFrame({"id": ["a", "c"]}), step="test", batch="1", key=digest("new"))
        calls.append(1)
        return rows.filter(pl.col("id") != "a")

    assert rewrite(lake, "splits", ["1"], change) == 1
    assert len(calls) == 2
    assert lake.read("splits").collect()["id"].to_list() == ["c"]


def test_what_was_erased_is_known_by_keyed_hashes_only(lake: Lake) -> None:
    then = datetime.now(UTC)
    names = {"row": ["row-1"], "conversation": ["thread"], "user": ["hash-of-user"]}
    publish(lake, "erasures", erasures.marks(lake.secret(), names), step="erase", batch="1", key=digest("1"))
    known = erasures.load(lake)
    assert known.row("other", "row-1")
    assert known.conversation("thread")
    assert not known.row("thread")
    assert known.user("hash-of-user", then - timedelta(days=1))
    assert known.user("hash-of-user", None)
    assert not known.user("hash-of-user", datetime.now(UTC) + timedelta(minutes=1))
    assert not any(name in lake.read("erasures").collect().write_json() for name in ("row-1", "thread", "hash-of"))


def test_a_step_that_worked_while_somebody_was_erased_works_again(lake: Lake) -> None:
    work_on = [["a", "gone"], ["a"]]

    def work() -> StepOutput:
        ids = work_on.pop(0)
        if work_on:  # the erasure begins after the step has read
            rows = erasures.marks(lake.secret(), {"row": ["gone"]})
            publish(lake, "erasures", rows, step="erase", batch="1", key=digest("1"))
        frame = pl.DataFrame({"id": ids})
        return StepOutput(frame, Books(len(ids), {"train": len(ids)}), {"sealed": frame})

    snapshot = run_step(lake, step="split", batch="1", table="splits", settings=[], inputs=[], work=work)
    assert not work_on
    for table in ("splits", "sealed"):
        assert lake.read(table).collect()["id"].to_list() == ["a"]
    assert lake.scan(snapshot).collect().height == 1
