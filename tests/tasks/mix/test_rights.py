"""Records of files pass no door of collect: who was erased, or said no, stays out of mixtures all the same."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from rich.console import Console

from configs.mixing import MixSource
from configs.settings import CollectSettings
from flows.erase import erase, plan
from flows.summary import print_erasure
from flows.trace import trace
from storage.lake import Lake
from storage.lineage import Kind
from storage.snapshot import digest
from tests.rows import write
from tests.tasks.mix.lakes import BATCH, USER, books_of, curate, manifest_of, rows_of, run, talk

NOWHERE = CollectSettings()
KNOWN = "0123456789abcdef"


def record(name: str, **more: Any) -> dict[str, Any]:
    asked = {"role": "user", "content": f"What does {name} ask, please?"}
    answered = {"role": "assistant", "content": f"This is what {name} was told."}
    return {"messages": [asked, answered], "timestamp": "2026-03-02T10:00:00Z", **more}


RECORDS = [
    record("ann", user="ann"),
    record("later", user="ann", timestamp="2099-01-01T00:00:00Z"),
    record("bob", user="bob", id="reply-1", conversation_id="talk-1"),
    record("collected", id="reply-7"),
    record("nobody"),
    record("silent", user="cem", consent=False),
    record("hidden", metadata={"consent": "no"}),
    record("odd", consent="perhaps"),
]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(str(tmp_path / "lake"))
    curate(lake, [talk(f"u{at}") for at in range(20)])
    (tmp_path / "partner.jsonl").write_text("\n".join(json.dumps(one) for one in RECORDS))
    return lake


@pytest.fixture
def partner(tmp_path: Path) -> MixSource:
    return MixSource(name="partner", path=str(tmp_path / "partner.jsonl"))


def asked(lake: Lake) -> set[str]:
    rows = lake.read("mixtures").filter(source="partner").collect()["prompt"]
    return {turns[0]["content"].split()[2] for turns in rows}


def test_a_record_that_says_no_is_not_learned_from(lake: Lake, partner: MixSource, model: str) -> None:
    run(lake, model, sources=(partner, USER))
    assert asked(lake) == {"ann", "later", "bob", "collected", "nobody"}
    assert {name: books_of(lake).get(name) for name in ("no_consent", "unreadable")} == {
        "no_consent": 2,
        "unreadable": 1,
    }


def test_where_silence_is_a_no_it_is_one_of_whoever_a_record_names(lake: Lake, partner: MixSource, model: str) -> None:
    run(lake, model, sources=(partner, USER), collect=CollectSettings(default_consent=False))
    assert asked(lake) == {"collected", "nobody"}


@pytest.mark.parametrize(
    ("kind", "name", "gone"),
    [("user", "ann", {"ann"}), ("row", "reply-1", {"bob"}), ("conversation", "talk-1", {"bob"})],
)
def test_who_is_erased_leaves_the_mixtures_and_stays_out(
    lake: Lake, partner: MixSource, model: str, kind: Kind, name: str, gone: set[str]
) -> None:
    everybody = {"ann", "later", "bob", "collected", "nobody"}
    before = run(lake, model, sources=(partner, USER))
    what = plan(lake, kind, name, NOWHERE)
    assert what.logs == [partner.path]
    assert before.snapshot is not None
    assert what.mixtures == [before.snapshot.batch]
    erase(lake, what)
    of_user = {"later"} if kind == "user" else set()
    assert asked(lake) == everybody - gone - of_user
    assert plan(lake, kind, name, NOWHERE).empty
    again = run(lake, model, sources=(partner, USER))
    assert set(rows_of(lake, again)["source"]) == {"partner", "app"}
    assert asked(lake) == everybody - gone  # what a user says after that is new
    assert books_of(lake)["erased"] == 1


def test_a_record_is_known_by_the_name_that_it_was_collected_under(lake: Lake, partner: MixSource, model: str) -> None:
    write(lake, "sources", BATCH, [{"id": "1", "source": "chats", "uri": "a", "start": 0, "end": 1}])
    row = {"id": digest("chats", "reply-7"), "source": "chats", "user_hash": KNOWN, "conversation_id": KNOWN}
    write(lake, "interactions", BATCH, [row], step="collect")
    run(lake, model, sources=(partner, USER))
    erase(lake, plan(lake, "user", KNOWN, NOWHERE))
    assert asked(lake) == {"ann", "later", "bob", "nobody"}
    run(lake, model, sources=(partner, USER))
    assert asked(lake) == {"ann", "later", "bob", "nobody"}


def test_a_record_that_goes_by_a_name_of_the_lake_is_known(
    lake: Lake, partner: MixSource, model: str, tmp_path: Path
) -> None:
    said = [record("exported", id=digest("chats", "reply-7")), record("other")]
    (tmp_path / "partner.jsonl").write_text("\n".join(json.dumps(one) for one in said))
    write(lake, "sources", BATCH, [{"id": "1", "source": "chats", "uri": "a", "start": 0, "end": 1}])
    run(lake, model, sources=(partner, USER))
    assert asked(lake) == {"exported", "other"}
    erase(lake, plan(lake, "row", "reply-7", NOWHERE))
    assert asked(lake) == {"other"}
    run(lake, model, sources=(partner, USER))
    assert asked(lake) == {"other"}


def test_what_two_people_said_alike_leaves_with_either(
    lake: Lake, partner: MixSource, model: str, tmp_path: Path
) -> None:
    said = [record("same"), record("same", user="bob"), record("other")]
    (tmp_path / "partner.jsonl").write_text("\n".join(json.dumps(one) for one in said))
    run(lake, model, sources=(partner, USER))
    assert asked(lake) == {"same", "other"}
    erase(lake, plan(lake, "user", "bob", NOWHERE))
    assert asked(lake) == {"other"}


def test_a_row_of_a_file_is_traced_to_its_mixture(lake: Lake, partner: MixSource, model: str) -> None:
    mixture = run(lake, model, sources=(partner, USER))
    assert mixture.snapshot is not None
    assert [node.id for node in trace(lake, "reply-1").children] == [mixture.snapshot.batch]


def test_a_row_that_names_nobody_goes_by_its_own_id(lake: Lake, partner: MixSource, model: str) -> None:
    rows = rows_of(lake, run(lake, model, sources=(partner, USER))).filter(source="partner")
    nobody = rows.filter(pl.col("comes_from").list.len() == 0)["id"].item()
    erase(lake, plan(lake, "row", nobody, NOWHERE))
    assert "nobody" not in asked(lake)
    run(lake, model, sources=(partner, USER))
    assert "nobody" not in asked(lake)


def test_files_are_named_to_whoever_erases_even_where_nothing_of_them_was_mixed(
    lake: Lake, partner: MixSource, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    mixture = run(lake, model, sources=(partner, USER))
    assert manifest_of(lake, mixture)["parts"]["partner"]["path"] == partner.path
    print_erasure(Console(soft_wrap=True), plan(lake, "user", "dee", NOWHERE), erased=False)
    shown = capsys.readouterr().out
    assert "Nothing here comes from them." in shown
    assert f"yours to change: {partner.path}" in shown


def test_whose_a_row_is_does_not_make_it_another_mixture(lake: Lake, partner: MixSource, model: str) -> None:
    first = run(lake, model, sources=(partner, USER))
    write(lake, "sources", BATCH, [{"id": "1", "source": "chats", "uri": "a", "start": 0, "end": 1}])
    again = run(lake, model, sources=(partner, USER))
    assert first.snapshot is not None
    assert again.snapshot is not None
    assert again.snapshot.batch == first.snapshot.batch
    whose = rows_of(lake, again)["comes_from"].explode()
    assert digest("chats", "reply-1") in whose  # as is known since chats were collected
    assert rows_of(lake, again).height == rows_of(lake, first).height
