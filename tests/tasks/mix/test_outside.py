"""Files in a recipe: every form of record, the holdout kept out, what cannot be used counted."""

import json
from pathlib import Path
from typing import Any

from configs.mixing import MixSource
from storage.lake import Lake
from tasks.mix.outside import file_rows
from tests.tasks.mix.lakes import (
    PREFERENCES,
    SEALED,
    USER,
    books_of,
    curate,
    manifest_of,
    prefer,
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
    general = MixSource(name="wiki", path=path, weight=0.1)
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
    replayed = found.filter(source="wiki")
    assert replayed["completion"][0][0]["content"] == "It depends."
    again = run(lake, model, sources=(general, USER))
    assert again == mixture


def test_files_and_tables_without_weights_are_sampled_alike(tmp_path: Path, model: str) -> None:
    lake = Lake(str(tmp_path / "lake"))
    curate(lake, [talk(f"u{at}") for at in range(40)])
    public = MixSource(name="public", path=lines(tmp_path / "a.jsonl", [alpaca(f"Question {at}?") for at in range(40)]))
    parts = manifest_of(lake, run(lake, model, sources=(public, USER), max_rows=20))["parts"]
    assert parts["public"]["rows"] + parts["user"]["rows"] == 20
    assert min(parts["public"]["rows"], parts["user"]["rows"]) >= 5


def test_what_grows_in_a_file_moves_nothing(tmp_path: Path) -> None:
    source = MixSource(name="wiki", path=lines(tmp_path / "a.jsonl", [alpaca(f"Question {at}?") for at in range(200)]))
    first = file_rows(source, "sft", 20, 1)
    assert first.rows.height == 20
    assert first.left_out["reason"].to_list() == ["beyond_max_rows"] * 180
    lines(tmp_path / "a.jsonl", [alpaca(f"Question {at}?") for at in range(220)][::-1])
    second = file_rows(source, "sft", 20, 1)
    assert len(set(first.rows["id"]) & set(second.rows["id"])) >= 15
    assert set(file_rows(source, "sft", 20, 2).rows["id"]) != set(second.rows["id"])


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
    found = file_rows(source, "sft", 10, 1)
    assert found.left_out["reason"].to_list() == ["disliked"]


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
