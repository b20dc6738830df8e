"""Review: uncertain rows go out, decisions come back in any format, override scores and are labels."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from configs.mistake import Mistake
from flows.cli import app
from flows.review import export_rows, import_decisions
from storage.lake import Lake
from tasks.review.decide import ratings
from tasks.review.formats import ASPECTS, FORMATS, ReviewError, read
from tasks.review.rows import uncertain_rows
from tests.rows import write

TEXT = 'Say "yes", then\n=SUM(A1) <b>& go</b>; 你好'


def talk(id: str, reward: float | None = None, **columns: object) -> dict:
    messages = [{"role": "user", "content": f"{TEXT} {id}?"}, {"role": "assistant", "content": f"=Yes, {id}."}]
    row = {"id": id, "kind": "conversation", "origin": "user", "domain": "app", "split": "train", "messages": messages}
    return row | {"reward": reward, "perplexity": 9.0} | columns


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    made = Lake(str(tmp_path / "lake"))
    rows = [
        talk("sure", 0.99), talk("unsure", 0.5), talk("fair", 0.7), talk("sealed", 0.5, split="holdout"),
        talk("side", 0.5, split="validation"), talk("g", 0.5, domain="general"),
        talk("asked", 0.5, messages=[{"role": "user", "content": "Anybody?"}]),
    ]  # fmt: skip
    write(made, "curated", "0001", rows, step="score")
    return made


RATED = {"relevance": 4, "safety": 5}


def fill_csv(file: Path, decisions: dict[str, str]) -> None:
    with file.open(newline="", encoding="utf-8-sig") as lines:
        rows = list(csv.DictReader(lines))
    for row in rows:
        row |= {"decision": decisions.get(row["id"], "")} | (RATED if row["id"] in decisions else {})
    with file.open("w", newline="", encoding="utf-8") as lines:
        writer = csv.DictWriter(lines, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def fill_jsonl(file: Path, decisions: dict[str, str]) -> None:
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    said = {name: {"decision": decision, **RATED} for name, decision in decisions.items()}
    file.write_text("\n".join(json.dumps(row | said.get(row["id"], {})) for row in rows))


def fill_label_studio(file: Path, decisions: dict[str, str]) -> None:
    tasks = json.loads(file.read_text())
    for task in tasks:
        choice = decisions.get(task["data"]["id"])
        result = [{"from_name": "decision", "to_name": "answer", "type": "choices", "value": {"choices": [choice]}}]
        result += [
            {"from_name": name, "to_name": "answer", "type": "rating", "value": {"rating": stars}}
            for name, stars in RATED.items()
        ]
        done = {"completed_by": {"email": "a@example.org"}, "updated_at": "2026-01-02T03:04:05.123456Z"}
        skipped = {**done, "was_cancelled": True, "result": result, "updated_at": "2027-01-01T00:00:00Z"}
        task["annotations"] = [{**done, "result": result}, skipped] if choice else [skipped]
    file.write_text(json.dumps(tasks))


def fill_argilla(file: Path, decisions: dict[str, str]) -> None:
    records = json.loads(file.read_text())
    for record in records:
        if choice := decisions.get(record["id"]):
            said = {"decision": choice, **RATED}
            record["responses"] = {
                name: [{"value": value, "user_id": "u1", "status": "submitted"}] for name, value in said.items()
            }
        record |= {"status": "pending", "_server_id": "s"}
    file.write_text(json.dumps(records))


FILLS: dict[str, Callable[[Path, dict[str, str]], None]] = {
    "csv": fill_csv, "jsonl": fill_jsonl, "label-studio": fill_label_studio, "argilla": fill_argilla,
}  # fmt: skip


def test_the_least_certain_rows_of_the_training_side_come_first_and_no_others(lake: Lake) -> None:
    rows = uncertain_rows(lake, 10)
    assert rows["id"].to_list() == ["unsure", "fair", "sure"]
    assert rows["uncertainty"][0] == pytest.approx(1)
    assert rows["prompt"][0] == f"{TEXT} unsure?"
    assert uncertain_rows(lake, 1).height == 1


def test_without_rewards_the_rows_near_the_cuts_of_perplexity_come_first(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    write(lake, "curated", "0001", [talk(f"{at}", perplexity=float(at)) for at in range(9)], step="score")
    assert set(uncertain_rows(lake, 2)["id"]) == {"0", "8"}


@pytest.mark.parametrize("format", FORMATS)
def test_there_and_back_in_every_format(lake: Lake, tmp_path: Path, format: str) -> None:
    file = tmp_path / f"review.{format if format in {'csv', 'jsonl'} else 'json'}"
    assert export_rows(lake, file, 10, format) == 3
    assert file.with_suffix(".xml").exists() == (format == "label-studio")
    FILLS[format](file, {"unsure": "keep", "sure": "drop"})
    assert import_decisions(lake, file, "me") == {"keep": 1, "drop": 1, "undecided": 1}
    reviews = lake.read("reviews").sort("target_id").collect()
    assert reviews.select("target_id", "decision").rows() == [("sure", "drop"), ("unsure", "keep")]
    assert reviews.select(ASPECTS).rows() == [(4, None, None, None, 5)] * 2
    assert ratings(lake) == {"relevance": (4.0, 2), "safety": (5.0, 2)}
    who = {"label-studio": "label-studio:a@example.org", "argilla": "argilla:u1"}.get(format, "me")
    assert set(reviews["reviewer"]) == {who}
    labels = {row["target_id"]: row for row in lake.read("preferences").collect().iter_rows(named=True)}
    assert {name: row["label"] for name, row in labels.items()} == {"unsure": True, "sure": False}
    assert {(row["kind"], row["origin"], row["split"]) for row in labels.values()} == {("label", "review", "train")}
    assert labels["unsure"]["chosen"] == "=Yes, unsure."
    assert uncertain_rows(lake, 10)["id"].to_list() == ["fair"]


def test_a_users_text_is_no_formula_in_a_spreadsheet(lake: Lake, tmp_path: Path) -> None:
    export_rows(lake, tmp_path / "r.csv", 10, None)
    with (tmp_path / "r.csv").open(newline="", encoding="utf-8-sig") as lines:
        assert [row["answer"][:5] for row in csv.DictReader(lines)] == ["'=Yes"] * 3


def test_decisions_on_the_holdout_and_on_unknown_rows_are_refused(lake: Lake, tmp_path: Path) -> None:
    file = tmp_path / "r.jsonl"
    names = ("sealed", "side", "nobody", "fair")
    file.write_text("\n".join(json.dumps({"id": name, "decision": "Keep "}) for name in names))
    assert import_decisions(lake, file, "me") == {"not_for_training": 2, "unknown_row": 1, "keep": 1}
    assert lake.read("reviews").collect()["target_id"].to_list() == ["fair"]
    books = lake.read("books", step="review").select("kind", "value").collect()
    assert books.filter(kind="in")["value"].sum() == books.filter(kind="out")["value"].sum() == 4


def test_the_same_file_twice_is_the_same_and_a_second_thought_replaces_the_first(lake: Lake, tmp_path: Path) -> None:
    file = tmp_path / "r.jsonl"
    for decision in ("keep", "keep", "drop"):
        file.write_text(json.dumps({"id": "fair", "decision": decision}))
        import_decisions(lake, file, "me")
    import_decisions(lake, file, "another")
    reviews = lake.read("reviews").collect()
    assert sorted(reviews.select("reviewer", "decision").rows()) == [("another", "drop"), ("me", "drop")]
    assert lake.read("preferences").collect()["label"].to_list() == [False, False]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.csv", "id,decision\nfair,maybe\n", "the decision on fair is 'maybe'; write keep, drop, or nothing"),
        ("a.csv", "id,decision,safety\nfair,keep,6\n", "safety of fair is '6'; write 1 to 5, or nothing"),
        ("a.csv", "name,verdict\nfair,keep\n", "every row needs id and decision; this one has name, verdict"),
        ("a.json", "[1, 2]", "no export of Label Studio or Argilla"),
        ("a.jsonl", "{", "give the file that `flywheel review export` wrote"),
    ],
)
def test_a_file_that_cannot_be_read_says_what_belongs_there(tmp_path: Path, name: str, text: str, words: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ReviewError, match=words):
        read(tmp_path / name)


def test_what_is_missing_is_said_in_a_sentence(lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(Mistake, match="--format"):
        export_rows(lake, tmp_path / "x.json", 5, None)
    with pytest.raises(Mistake, match="There is no file"):
        read(tmp_path / "none.csv")
    with pytest.raises(Mistake, match="Nothing was curated"):
        import_decisions(Lake(str(tmp_path / "empty")), _file(tmp_path), "me")


def test_the_command_goes_there_and_back(lake: Lake, tmp_path: Path) -> None:
    file, runner = tmp_path / "review.csv", CliRunner()
    assert runner.invoke(app, ["review", "export", str(file), lake.uri]).exit_code == 0
    fill_csv(file, {"unsure": "drop"})
    done = runner.invoke(app, ["review", "import", str(file), lake.uri, "--reviewer", "kim"])
    assert "1 drop, 2 undecided" in done.output
    assert lake.read("reviews").collect()["reviewer"].to_list() == ["kim"]


def _file(folder: Path) -> Path:
    file = folder / "some.jsonl"
    file.write_text(json.dumps({"id": "a", "decision": "keep"}))
    return file
