"""Files in a recipe: every form of record, the holdout kept out, what cannot be used counted."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

from configs.mixing import MixSource
from storage.lake import Lake
from tests.tasks.collect.samples import SAMPLES
from tests.tasks.mix.lakes import (
    PREFERENCES,
    SEALED,
    USER,
    books_of,
    curate,
    manifest_of,
    prefer,
    read_file,
    rows_of,
    run,
    talk,
)


def lines(file: Path, records: list[Any]) -> str:
    file.write_text("\n".join(record if isinstance(record, str) else json.dumps(record) for record in records) + "\n")
    return str(file)


def alpaca(question: str) -> dict[str, str]:
    return {"instruction": question, "output": "It depends."}


def test_a_file_is_replayed_against_forgetting(tmp_path: Path, model: str) -> None:
    lake = Lake(str(tmp_path / "lake"))
    curate(lake, [*(talk(f"u{at}") for at in range(40)), talk("sealed", SEALED, split="holdout")])
    asked = [alpaca(f"What is the capital of country {at}?") for at in range(30)]
    records = [*asked, asked[0], alpaca(f"He said: {SEALED}"), {"text": "A page."}, {"x": 1}, "no json"]
    path = lines(tmp_path / "general.jsonl", records)
    general = MixSource(name="wiki", path=path, weight=0.1, replay=True)
    mixture = run(lake, model, sources=(general, USER))
    part = manifest_of(lake, mixture)["parts"]["wiki"]
    assert 0.05 < part["share"] <= 0.1
    assert part["available"] == 30
    assert part["files"][0]["uri"] == path
    assert part["files"][0]["digest"]
    books = books_of(lake)
    assert {name: books[name] for name in ("repeated", "in_holdout", "no_answer", "unreadable")} == {
        "repeated": 1,
        "in_holdout": 1,
        "no_answer": 1,
        "unreadable": 2,
    }
    found = rows_of(lake, mixture)
    replayed = found.filter(replay=True)
    assert set(replayed["source"]) == {"wiki"}
    assert replayed["completion"][0][0]["content"] == "It depends."
    again = run(lake, model, sources=(general, USER))
    assert again == mixture


def test_a_weight_alone_is_no_replay(tmp_path: Path, model: str) -> None:
    lake = Lake(str(tmp_path / "lake"))
    curate(lake, [talk(f"u{at}") for at in range(20)])
    partner = MixSource(name="partner", path=lines(tmp_path / "a.jsonl", [alpaca("Why?"), alpaca("How?")]), weight=0.4)
    mixture = run(lake, model, sources=(partner, USER), min_rows=22)
    assert rows_of(lake, mixture)["replay"].to_list() == [False] * 22


def test_files_and_tables_without_weights_are_sampled_alike(tmp_path: Path, model: str) -> None:
    lake = Lake(str(tmp_path / "lake"))
    curate(lake, [talk(f"u{at}") for at in range(40)])
    public = MixSource(name="public", path=lines(tmp_path / "a.jsonl", [alpaca(f"Question {at}?") for at in range(40)]))
    parts = manifest_of(lake, run(lake, model, sources=(public, USER), max_rows=20))["parts"]
    assert parts["public"]["rows"] + parts["user"]["rows"] == 20
    assert min(parts["public"]["rows"], parts["user"]["rows"]) >= 5


def test_what_grows_in_a_file_moves_nothing(tmp_path: Path) -> None:
    source = MixSource(name="wiki", path=lines(tmp_path / "a.jsonl", [alpaca(f"Question {at}?") for at in range(200)]))
    first, left_out = read_file(source, most=20)
    assert first.height == 20
    assert left_out.counts == {"beyond_max_rows": 180}
    few = left_out.examples["beyond_max_rows"]
    assert len(few) == 3
    assert not set(few) & set(first["id"])
    lines(tmp_path / "a.jsonl", [alpaca(f"Question {at}?") for at in range(220)][::-1])
    second, _ = read_file(source, most=20)
    assert len(set(first["id"]) & set(second["id"])) >= 15
    assert set(read_file(source, most=20, seed=2)[0]["id"]) != set(second["id"])


def test_pairs_and_labels_come_from_files_too(tmp_path: Path, model: str) -> None:
    lake = Lake(str(tmp_path / "lake"))
    prompt = [{"role": "user", "content": "Which plan is the right one?"}]
    prefer(
        lake,
        [
            {"id": "1", "kind": "pair", "origin": "edit", "target_id": "t", "prompt": prompt}
            | {"chosen": "Team.", "rejected": "None."}
        ],
    )
    pairs = [{"prompt": f"Say {at}.", "chosen": f"{at}", "rejected": "No."} for at in range(3)]
    public = MixSource(name="public", path=lines(tmp_path / "p.jsonl", [*pairs, alpaca("Why?")]), format="auto")
    as_pairs = public.model_copy(update={"stages": ("dpo",)})
    rows = rows_of(lake, run(lake, model, stage="dpo", sources=(as_pairs, PREFERENCES)))
    assert sorted(turns[0]["content"] for turns in rows["chosen"]) == ["0", "1", "2", "Team."]
    assert books_of(lake, "dpo")["no_pair"] == 1

    labels = [{"prompt": "Say it.", "completion": answer, "label": answer == "It."} for answer in ("It.", "Never.")]
    kto = MixSource(name="thumbs", path=lines(tmp_path / "k.jsonl", labels), format="kto")
    rows = rows_of(lake, run(lake, model, stage="kto", sources=(kto,)))
    assert [row["chosen"] is not None for row in rows.sort("chosen").to_dicts()] == [False, True]


def test_an_answer_that_a_file_marks_as_bad_is_no_target(tmp_path: Path) -> None:
    bad = {"prompt": "Say it.", "completion": "Never.", "label": False}
    source = MixSource(name="a", path=lines(tmp_path / "a.jsonl", [bad]), stages=("sft",))
    assert read_file(source)[1].counts == {"disliked": 1}


def test_every_judgement_of_a_record_is_a_row(tmp_path: Path) -> None:
    record = deepcopy(SAMPLES["open_webui"][0])
    answers = record["snapshot"]["chat"]["chat"]["history"]["messages"]
    answers["a3"] = answers["a2"] | {"id": "a3", "content": "Ask somebody."}
    answers["a4"] = answers["a2"] | {"id": "a4", "content": answers["a1"]["content"]}
    source = MixSource(name="a", path=lines(tmp_path / "a.jsonl", [record]), stages=("dpo",))
    rows, left_out = read_file(source, "dpo")
    assert sorted(rows["rejected"]) == ["Ask somebody.", "No idea."]
    assert set(rows["chosen"]) == {"Press Retry now."}
    assert left_out.counts == {"no_difference": 1}


def test_judgements_of_files_pass_the_rules_of_those_in_the_lake(tmp_path: Path) -> None:
    pair = {"prompt": "Say it.", "chosen": "It.", "rejected": "Never."}
    pairs = [pair, pair, pair | {"rejected": "It."}, pair | {"chosen": " "}]
    source = MixSource(name="a", path=lines(tmp_path / "p.jsonl", pairs), stages=("dpo",))
    rows, left_out = read_file(source, "dpo")
    assert rows["rejected"].to_list() == ["Never."]
    assert left_out.counts == {"repeated": 1, "no_difference": 1, "no_answer": 1}

    said = [(f"{at}", True) for at in range(50)] + [("both", label) for label in (True, False, True)]
    labels = [{"prompt": "Say it.", "completion": answer, "label": label} for answer, label in [*said, (" ", True)]]
    source = MixSource(name="a", path=lines(tmp_path / "k.jsonl", labels), format="kto")
    rows, left_out = read_file(source, "kto", most=100)
    assert rows["label"].to_list() == [True] * 50
    assert left_out.counts == {"contradicted": 2, "repeated": 1, "no_answer": 1}
    for most in range(1, 51):  # wherever the sample ends
        rows, left_out = read_file(source, "kto", most=most)
        assert "both" not in rows["chosen"].to_list()
        assert rows.height + left_out.counts.total() == len(labels)


def test_a_table_of_the_lake_names_its_version(tmp_path: Path, model: str) -> None:
    lake = Lake(str(tmp_path))
    curate(lake, [talk("a")])
    described = manifest_of(lake, run(lake, model))["parts"]["user"]
    assert described["table"] == "curated"
    assert lake.read("curated", version=described["version"]).collect()["id"].to_list() == ["a"]


def test_a_row_goes_to_the_first_source_that_takes_it_and_one_that_none_takes_is_counted(
    tmp_path: Path, model: str
) -> None:
    lake = Lake(str(tmp_path))
    rows = [*(talk(f"e{at}") for at in range(20)), *(talk(f"d{at}", language="de") for at in range(20))]
    curate(lake, [*rows, talk("f", language="fr", domain="faq"), talk("s", origin="synthetic")])
    german = MixSource(name="german", table="curated", select={"languages": ["de"]}, weight=0.2)
    english = MixSource(name="english", table="curated", select={"languages": ["en"], "origins": ["user"]})
    parts = manifest_of(lake, run(lake, model, sources=(german, english)))["parts"]
    assert parts["english"]["rows"] == 20
    assert parts["german"]["rows"] == 5
    assert books_of(lake)["not_in_recipe"] == 2
