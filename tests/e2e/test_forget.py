"""A person is in everything that a whole run left; after `erase` and `maintain` no byte of the lake knows them."""

import json
import logging
import os
from pathlib import Path
from random import Random
from typing import Any

import polars as pl
import pytest

from configs.settings import MaintainSettings, Settings
from flows.curate import curate
from flows.erase import erase, plan
from flows.nightly import flywheel
from flows.trace import as_tree, trace
from storage import registry
from storage.lake import Lake
from storage.maintain import maintain
from storage.verdicts import champion
from tasks.inference.journal import open_journal
from tasks.lm.generate import Completion
from tests.e2e.marker import places_with
from tests.flows.small import small_settings
from tests.tiny_model import make_tiny_model

pytestmark = pytest.mark.slow
MARKER = "zebrafalcon"
USER = f"client-{MARKER}"
WORDS = (
    "anchor bridge candle desert engine forest guitar hammer island jungle kettle ladder mirror needle orange parrot "
    "quarry ribbon saddle temple umbrella valley window yellow zipper garden pencil rocket silver turtle velvet walnut"
)
COUNT = 20
NOW = MaintainSettings(vacuum_hours=0)


def sentence(*seed: object) -> str:
    """Words in an order of their own, so that no text resembles another, and the marker among them."""
    return " ".join(
        [*Random(str(seed)).sample(WORDS.split(), 9), MARKER, *Random(str((seed, 2))).sample(WORDS.split(), 4)]
    )


def record(number: int, *more: dict[str, str]) -> dict[str, Any]:
    question = {"role": "user", "content": f"What about {sentence('question', number)}?"}
    return {
        "timestamp": f"2026-03-02T10:{number % 60:02d}:00Z",
        "client_id": USER,
        "request": {"model": "m", "messages": [question, *more]},
        "response": {"id": f"chatcmpl-{MARKER}-{number}", "choices": [{"message": answer(number)}]},
    }


def answer(number: int) -> dict[str, str]:
    return {"role": "assistant", "content": f"Take {sentence('answer', number)}."}


def planted() -> list[str]:
    """Lines of a log: conversations, one that repeats another, two that cannot be read."""
    records = [record(number) for number in range(COUNT)]
    again = record(0)
    again["response"]["id"] = f"chatcmpl-{MARKER}-again"
    unanswered = {**record(90), "response": {"id": f"chatcmpl-{MARKER}-90", "choices": []}}
    return [json.dumps(one) for one in (*records, again, unanswered)] + [json.dumps(record(91))[:-90]]


def judgements() -> list[str]:
    lines: list[dict[str, Any]] = []
    for number in range(COUNT):
        target = {"target_id": f"chatcmpl-{MARKER}-{number}", "user": USER, "timestamp": "2026-03-02T11:00:00Z"}
        edited = f"Better take {sentence('edit', number)}."
        lines += [target | {"kind": "thumb", "value": 1}, target | {"kind": "edit", "preferred": edited}]
        lines += [target | {"kind": "comment", "comment": f"I love my {MARKER}"}]
    return [json.dumps(line) for line in lines]


def settings_in(folder: Path) -> Settings:
    small = small_settings(folder, make_tiny_model(folder / "tiny"), stages=("sft", "dpo"))
    (folder / "logs" / "planted.jsonl").write_text("\n".join(planted()) + "\n")
    (folder / "feedback.jsonl").write_text("\n".join(judgements()) + "\n")
    tree = json.loads(small.model_dump_json())
    tree["evaluate"]["samples"] = 30
    tree["collect"]["sources"].append(
        {"name": "more feedback", "path": str(folder / "feedback.jsonl"), "format": "feedback", "about": "chats"}
    )
    return Settings.model_validate(tree)


def leave_work(lake: Lake) -> None:
    """What a killed training and a killed synthesis would have left behind."""
    rows = lake.read("mixtures").select(pl.exclude("batch", "step")).collect()
    rows.write_parquet(lake.folder("work", "sft-killed") / "rows.parquet")
    with open_journal(lake.folder("work", "requests")) as journal:
        journal.add("a request", Completion(f"Why does a {MARKER} sing?", finished=True, tokens=5))


def spool(lake: Lake) -> Path:
    """What the collector took since: a question of theirs, and a thumb."""
    folder = Path(f"{lake.path()}.spool")
    folder.mkdir()
    (folder / "20260303T000000-00000000.jsonl").write_text(json.dumps(record(77)) + "\n" + judgements()[0] + "\n")
    return folder


def server_files() -> list[Path]:
    """Prefect's database, results and logs."""
    from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL

    database = Path(str(PREFECT_API_DATABASE_CONNECTION_URL.value()).partition(":///")[2])
    assert database.is_file()
    return [database.parent, Path(os.environ["PREFECT_HOME"])]


def test_a_person_is_forgotten_everywhere_and_stays_out(
    tmp_path: Path, prefect_server: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings = settings_in(tmp_path)
    lake = Lake(settings.lake)
    with caplog.at_level(logging.INFO):
        result = flywheel(settings)
    leave_work(lake)
    folders = [Path(settings.lake), spool(lake)]
    found = places_with(MARKER, *folders)
    assert "20260303T000000-00000000.jsonl" in found
    tables = ["interactions", "quarantine", "feedback", "scrubbed", "curated", "preferences", "mixtures", "evaluations"]
    assert found >= {f"tables/{table}" for table in (*tables, "promotions")}
    assert found >= {f"reports/{result.batch}.html", "work/sft-killed/rows.parquet"}
    assert any(place.startswith("work/requests") for place in found)
    assert any(place.startswith("models/") for place in found)
    assert MARKER not in caplog.text
    assert not places_with(MARKER, *server_files())

    what = plan(lake, "user", USER, settings.collect)
    assert what.rows["interactions"] == COUNT + 1
    assert what.spooled == 2
    generated = lake.read("quarantine").filter(pl.col("source") == "synthetic").collect().height
    assert what.rows["quarantine"] == 2 + generated
    trained = set(lake.read("models").filter(pl.col("mixture").is_not_null()).collect()["id"])
    heads = set(lake.read("models").filter(kind=registry.HEAD).collect()["id"])
    assert set(what.models) == trained | heads
    assert {Path(file).name for file in what.logs} >= {"planted.jsonl", "feedback.jsonl"}
    assert places_with(MARKER, *folders) == found  # planning changes nothing

    others = {table: lake.read(table).select(pl.len()).collect().item() for table in tables}
    erase(lake, what)
    for table in tables:
        now = lake.read(table).select(pl.len()).collect().item()
        assert now == others[table] - what.rows[table], table
        assert now or table == "quarantine", f"{table}: others are gone, too"
    assert places_with(MARKER, *folders)  # the old versions, until they are removed
    assert maintain(lake, NOW)["bytes_freed"] > 0
    assert places_with(MARKER, *folders, *server_files()) == set()
    assert plan(lake, "user", USER, settings.collect).empty

    manifests = lake.read("manifests").filter(pl.col("batch").is_in(what.mixtures)).collect()["manifest"]
    assert all(json.loads(text)["reproducible"] is False for text in manifests)
    node = trace(lake, str(champion(lake) if champion(lake) in trained else what.models[0]))
    assert node.children[0].facts["erased"] > 0
    assert as_tree(node).label

    _collect_again(settings, tmp_path)
    assert maintain(lake, NOW)["rows_emptied"] == 0
    assert places_with(MARKER, *folders, *server_files()) == set()


def _collect_again(settings: Settings, folder: Path) -> None:
    """The same records in another file, one that goes on with an erased conversation, and somebody else's."""
    more = (answer(1), {"role": "user", "content": f"And a second {MARKER}?"})
    longer = record(1, *more)
    longer |= {"timestamp": "2027-01-01T00:00:00Z"}
    longer["response"]["id"] = f"chatcmpl-{MARKER}-longer"
    other = {**record(50), "client_id": "somebody else"}
    other = json.loads(json.dumps(other).replace(MARKER, "sparrow"))
    lines = [json.dumps(other), *planted(), json.dumps(longer)]
    (folder / "logs" / "again.jsonl").write_text("\n".join(lines) + "\n")
    batch = curate(settings)[-1].batch
    books = Lake(settings.lake).read("books", batch=batch, step="collect").collect()
    counted = dict(books.filter(pl.col("kind") == "out").select("name", "value").iter_rows())
    assert counted["erased"] == len(planted()) + 1
    assert counted["interactions"] == 1
