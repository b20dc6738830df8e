"""Erasing and tracing on a small lake: by every name, killed half-way, collected again, on the command line."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pyarrow.fs import FileSystem, copy_files
from rich.console import Console

import flows.erase
from configs.settings import CollectSettings, MaintainSettings, MixSettings, Source
from flows.cli import app
from flows.erase import EraseError, erase, plan, wish
from flows.summary import print_erasure
from flows.trace import TraceError, as_tree, trace
from storage.evidence import Evidence, Sample
from storage.lake import Lake
from storage.lineage import Kind
from storage.maintain import maintain
from storage.registry import Model, register
from storage.rewrite import drop
from storage.trained import OUTPUT, RESULT
from storage.verdicts import Decision, decide, promotions
from tasks.collect.run import collect_new
from tasks.report.page import write as write_report
from tests.e2e.marker import places_with
from tests.rows import write

NOWHERE = CollectSettings()
LOSS = {"losses": [[1, 2.0]]}


def line(number: int, user: str, asked: str, **more: Any) -> dict[str, Any]:
    return {
        "timestamp": f"2026-03-02T10:{number:02d}:00Z",
        "client_id": user,
        "request": {"model": "m", "messages": [{"role": "user", "content": asked}]},
        "response": {
            "id": f"reply-{number}",
            "choices": [{"message": {"role": "assistant", "content": "Yes indeed."}}],
        },
        **more,
    }


def log(file: Path, *records: dict[str, Any]) -> None:
    file.parent.mkdir(exist_ok=True)
    with file.open("a") as out:
        out.writelines(json.dumps(record) + "\n" for record in records)


@pytest.fixture
def settings(tmp_path: Path) -> CollectSettings:
    return CollectSettings(sources=(Source(name="chats", path=str(tmp_path / "logs")),))


@pytest.fixture
def lake(tmp_path: Path, settings: CollectSettings) -> Lake:
    return filled(Lake(str(tmp_path / "lake")), tmp_path, settings)


def filled(lake: Lake, tmp_path: Path, settings: CollectSettings) -> Lake:
    """Two users; what ann asked was mixed, trained on, evaluated and shown."""
    unanswered = line(3, "ann", "Ann asked this and nobody replied", response={"id": "reply-3", "choices": []})
    log(tmp_path / "logs" / "a.jsonl", line(1, "ann", "Ann's question"), line(2, "bob", "Bob's question"), unanswered)
    snapshot = collect_new(lake, settings)
    assert snapshot is not None
    rows = lake.scan(snapshot).sort("occurred_at").collect().to_dicts()
    first, second = (row["id"] for row in rows)
    kept = [{name: row[name] for name in ("id", "conversation_id", "messages")} for row in rows]
    for table in ("scrubbed", "curated"):
        write(lake, table, snapshot.batch, kept)
    write(lake, "splits", snapshot.batch, [{"id": one, "group": first, "split": "train"} for one in (first, second)])
    write(lake, "mixtures", "mixture", [{"id": one, "stage": "sft"} for one in (first, second)])
    about = {"stage": "sft", "parts": {}, "settings": MixSettings().model_dump(mode="json")}
    manifest = json.dumps({**about, "examples": {"too_short": [first, second]}})
    write(lake, "manifests", "mixture", [{"id": "mixture", "stage": "sft", "rows": 2, "manifest": manifest}])
    output = json.dumps({"prompt": "Ann's question", "answer": "Yes"})
    write(lake, "evaluations", snapshot.batch, [{"id": "e", "item": "i", "group": first, "output": output}])
    folder = lake.folder("models", "sft-1")
    (folder / RESULT).write_text(json.dumps({"samples": ["Ann's question"], "rows": 2}))
    for left in (lake.folder("models", "sft-2"), lake.folder("work", "sft-3", OUTPUT)):  # by trainings that were killed
        (left / RESULT).write_bytes((folder / RESULT).read_bytes())
    lake.save("models", "sft-2")  # to be registered next
    register(lake, Model("base", "lm", "base", str(tmp_path), "t"), batch="base")
    register(lake, Model("sft-1", "lm", "sft", str(folder), "t", "base", "mixture", metrics=LOSS), batch=snapshot.batch)
    evidence = Evidence(samples=(Sample("Ann's question", "a", "b"), Sample("Bob's question", "c", "d")))
    decide(lake, Decision("base", None, "promote", ["First."]), batch="base")
    decide(lake, Decision("sft-1", "base", "promote", ["Better."], evidence.to_dict()), batch=snapshot.batch)
    write_report(lake, snapshot.batch)
    return lake


def asked(lake: Lake) -> list[str]:
    return sorted(messages[0]["content"] for messages in lake.read("interactions").collect()["messages"])


def hashed(lake: Lake, user: str) -> str:
    rows = lake.read("interactions").collect().filter(pl.col("user_hash").is_not_null()).to_dicts()
    return str(next(row["user_hash"] for row in rows if user in row["messages"][0]["content"]))


@pytest.mark.parametrize("name", ["ann", "hash", "reply-1", "id", "conversation"])
def test_by_whichever_name_a_person_has(lake: Lake, name: str) -> None:
    row = lake.read("interactions").sort("occurred_at").head(1).collect().to_dicts()[0]
    wanted: dict[str, tuple[Kind, str]] = {
        "ann": ("user", "ann"),
        "hash": ("user", hashed(lake, "Ann")),
        "reply-1": ("row", "reply-1"),
        "id": ("row", row["id"]),
        "conversation": ("conversation", row["conversation_id"]),
    }
    what = plan(lake, *wanted[name], NOWHERE)
    assert what.models == ["sft-1"]
    assert what.mixtures == ["mixture"]
    assert [Path(file).name for file in what.logs] == ["a.jsonl"]
    erase(lake, what)
    assert asked(lake) == ["Bob's question"]
    for table in ("scrubbed", "curated", "splits", "mixtures"):
        assert lake.read(table).collect().height == 1, table
    assert lake.read("quarantine").collect().height == (1 if name in {"reply-1", "id", "conversation"} else 0)


def test_what_is_no_row_forgets_too(lake: Lake) -> None:
    other = lake.folder("models", "sft-4")
    (other / RESULT).write_text(json.dumps({"samples": ["Bob's question"]}))
    register(lake, Model("sft-4", "lm", "sft", str(other), "t", "base", "another mixture"), batch="other")
    first = lake.read("interactions").sort("occurred_at").collect()["id"][0]
    erase(lake, plan(lake, "user", "ann", NOWHERE))
    evidence = Evidence.from_dict(json.loads(promotions(lake)["evidence"][-1]))
    assert [sample.prompt for sample in evidence.samples] == ["Bob's question"]
    for model in ("sft-1", "sft-2"):
        assert json.loads(Path(lake.path("models", model, RESULT)).read_text()) == {"rows": 2}
    assert not Path(lake.path("work", "sft-3", OUTPUT, RESULT)).exists()
    assert json.loads((other / RESULT).read_text()) == {"samples": ["Bob's question"]}
    manifest = json.loads(lake.read("manifests").collect()["manifest"][0])
    second = lake.read("interactions").collect()["id"][0]
    assert manifest["reproducible"] is False
    assert manifest["examples"] == {"too_short": [second]}
    assert first not in lake.read("splits").collect().write_json()


def test_a_killed_erasure_is_finished_by_the_next(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    for deadly in range(1, 16, 2):
        calls = [0]

        def dying(*arguments: Any, calls: list[int] = calls, deadly: int = deadly) -> int:
            calls[0] += 1
            if calls[0] == deadly:
                raise KeyboardInterrupt
            return drop(*arguments)

        monkeypatch.setattr(flows.erase, "drop", dying)
        with pytest.raises(KeyboardInterrupt):
            erase(lake, plan(lake, "user", "ann", NOWHERE))
    monkeypatch.undo()
    erase(lake, plan(lake, "user", "ann", NOWHERE))
    assert asked(lake) == ["Bob's question"]
    assert "Ann" not in "".join(
        lake.read(table).collect().write_json() for table in ("scrubbed", "curated", "mixtures")
    )
    assert plan(lake, "user", "ann", NOWHERE).empty


def test_it_stays_out_and_new_words_of_the_same_user_do_not(
    lake: Lake, settings: CollectSettings, tmp_path: Path
) -> None:
    erase(lake, plan(lake, "user", "ann", NOWHERE))
    old = (tmp_path / "logs" / "a.jsonl").read_text()
    (tmp_path / "logs" / "copy.jsonl").write_text("\n" + old)  # not recognised as the same file
    new = line(9, "ann", "A question of next year") | {"timestamp": "2099-01-01T00:00:00Z"}
    log(tmp_path / "logs" / "new.jsonl", new, line(8, "ann", "An old one that was never collected"))
    snapshot = collect_new(lake, settings)
    assert snapshot is not None
    assert asked(lake) == ["A question of next year", "Bob's question"]
    books = lake.read("books", batch=snapshot.batch, step="collect").filter(pl.col("kind") == "out").collect()
    counted = {name: int(value) for name, value in books.select("name", "value").iter_rows() if value}
    assert counted == {"interactions": 1, "erased": 3, "repeated": 1}
    assert lake.read("quarantine").collect().is_empty()


def test_tracing_goes_both_ways(lake: Lake) -> None:
    down = trace(lake, "reply-1").to_dict()
    assert down["kind"] == "interactions"
    mixture = down["children"][-1]
    assert (mixture["id"], mixture["facts"]["rows_of_it"]) == ("mixture", 1)
    assert [(model["id"], model["facts"].get("serves")) for model in mixture["children"]] == [("sft-1", True)]
    assert {child["kind"] for child in down["children"]} == {"scrubbed", "splits", "curated", "mixtures"}

    up = trace(lake, "sft-1")
    assert [child.id for child in up.children] == ["mixture", "base"]
    assert len(up.children[0].children) == 2
    console = Console(width=200, record=True)
    console.print(as_tree(up))
    assert "mixture row" in console.export_text()
    with pytest.raises(TraceError, match="is called nobody"):
        trace(lake, "nobody")


def test_the_command_lists_first_and_erases_when_told(
    lake: Lake, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(*arguments: str) -> str:
        app([*arguments, "--set", f"lake={lake.uri}"], standalone_mode=False)
        return capsys.readouterr().out

    assert "say --yes to erase" in told("erase", "--user", "ann")
    assert len(asked(lake)) == 2
    assert "sft-1" in told("erase", "--user", "ann", "--yes")
    assert asked(lake) == ["Bob's question"]
    app(["trace", "reply-2", lake.uri, "--json"], standalone_mode=False)
    assert json.loads(capsys.readouterr().out)["kind"] == "interactions"
    print_erasure(Console(), plan(lake, "user", "ann", NOWHERE), erased=False)
    assert "Nothing here comes from them." in capsys.readouterr().out


@pytest.mark.slow
def test_in_an_object_store_no_byte_is_left(
    bucket: str, tmp_path: Path, settings: CollectSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLYWHEEL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FLYWHEEL_SECRET", "s" * 32)
    lake = filled(Lake(f"{bucket}/erase"), tmp_path, settings)

    def places(name: str) -> set[str]:
        store, root = FileSystem.from_uri(lake.path())
        copy_files(root, str(tmp_path / name), source_filesystem=store)
        return places_with("Ann", tmp_path / name, tmp_path / "cache")

    found = places("before")
    assert found >= {"tables/interactions", "tables/curated", "tables/promotions", "models/sft-1"}
    assert any(place.startswith("reports/") for place in found)
    assert trace(lake, "reply-1").children[-1].children[0].id == "sft-1"
    erase(lake, plan(lake, "user", "ann", NOWHERE))
    assert maintain(lake, MaintainSettings(vacuum_hours=0))["bytes_freed"] > 0
    assert places("after") == set()
    assert asked(lake) == ["Bob's question"]
    assert trace(lake, "reply-2").kind == "interactions"


def test_one_name_at_a_time() -> None:
    assert wish(None, "c", None) == ("conversation", "c")
    for given in ((None, None, None), ("a", "b", None)):
        with pytest.raises(EraseError, match="one of --user NAME"):
            wish(*given)
