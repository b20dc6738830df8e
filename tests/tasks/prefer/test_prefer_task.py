"""From feedback to preferences, also when it comes late, early, twice, or about a duplicate."""

from datetime import UTC, datetime

import polars as pl

from storage.lake import Lake
from tasks.prefer.task import prefer
from tests.rows import write


def talk(id: str, answer: str | None = "Yes.", split: str = "train") -> dict:
    messages = [{"role": "user", "content": f"Question {id}?"}]
    messages += [{"role": "assistant", "content": answer}] if answer else []
    return {"id": id, "origin": "user", "messages": messages, "model": "bot-1", "split": split}


def says(id: str, target: str, kind: str, value=None, preferred=None, rejected=None, user=None, hour=1) -> dict:
    texts = {"preferred": preferred, "rejected": rejected}
    return {
        "id": id, "target_id": target, "kind": kind, "value": value, "user_hash": user,
        "occurred_at": datetime(2026, 1, 1, hour, tzinfo=UTC), "texts": {k: v for k, v in texts.items() if v},
    }  # fmt: skip


def arrived(lake: Lake, batch: str, talks: list[dict], feedback: list[dict]) -> pl.DataFrame:
    """Write a batch as the steps before would, make its preferences, and read them."""
    texts = [
        {"id": row["id"], "origin": "feedback", "model": None,
         "messages": [{"role": role, "content": text} for role, text in row["texts"].items()]}
        for row in feedback if row["texts"]
    ]  # fmt: skip
    scrubbed = [{name: row[name] for name in ("id", "origin", "messages", "model")} for row in [*talks, *texts]]
    snapshot = write(lake, "scrubbed", batch, scrubbed)
    splits = write(
        lake, "splits", batch, [{"id": row["id"], "split": row["split"], "group": row["id"]} for row in talks]
    )
    if feedback:
        write(lake, "feedback", batch, [{k: v for k, v in row.items() if k != "texts"} for row in feedback])
    return lake.scan(prefer.fn(lake, snapshot, splits)).sort("id").collect()


def books(lake: Lake, batch: str) -> dict[str, float]:
    rows = lake.read("books", batch=batch).filter(pl.col("kind") == "out").select("name", "value").collect()
    return {name: value for name, value in rows.iter_rows() if value}


def test_each_kind_of_feedback(tmp_path):
    lake = Lake(str(tmp_path / "lake"))
    feedback = [
        says("1up", "a", "thumb", 1.0),
        says("2down", "b", "thumb", -1.0),
        says("3rating", "b", "rating", 0.4),
        says("4edit", "b", "edit", preferred="Yes, indeed."),
        says("5comparison", "c", "comparison", preferred="New.", rejected="Old."),
        says("6again", "a", "regenerate", rejected="An older one."),
    ]
    found = arrived(lake, "0001-a", [talk("a"), talk("b", split="holdout"), talk("c")], feedback)
    columns = ["id", "kind", "origin", "target_id", "split", "chosen", "rejected", "label", "model"]
    assert found.select(columns).rows() == [
        ("1up", "label", "thumb", "a", "train", "Yes.", None, True, "bot-1"),
        ("2down", "label", "thumb", "b", "holdout", "Yes.", None, False, "bot-1"),
        ("3rating", "label", "rating", "b", "holdout", "Yes.", None, False, "bot-1"),
        ("4edit", "pair", "edit", "b", "holdout", "Yes, indeed.", "Yes.", None, "bot-1"),
        ("5comparison", "pair", "comparison", "c", "train", "New.", "Old.", None, "bot-1"),
        ("6again", "pair", "regenerate", "a", "train", "Yes.", "An older one.", None, "bot-1"),
    ]
    assert found["prompt"][0].struct.field("content").to_list() == ["Question a?"]
    assert books(lake, "0001-a") == {"preferences": 6}


def test_what_says_nothing_is_counted_with_its_reason(tmp_path):
    lake = Lake(str(tmp_path / "lake"))
    feedback = [
        says("1", "a", "comment"),
        says("2", "nobody", "thumb", 1.0),
        says("3", "b", "thumb", 1.0),
        says("4", "a", "thumb"),
        says("5", "a", "edit", preferred="Yes."),
        says("6", "a", "edit"),
    ]
    assert arrived(lake, "0001-a", [talk("a"), talk("b", answer=None)], feedback).height == 0
    assert books(lake, "0001-a") == {
        "only a comment": 1,
        "waits for its answer": 1,
        "not about an answer": 1,
        "without a value": 1,
        "both answers read the same": 2,
    }


def test_a_user_who_thinks_again_is_believed_the_last_time(tmp_path):
    lake = Lake(str(tmp_path / "lake"))
    feedback = [
        says("1", "a", "thumb", 1.0, user="u", hour=1),
        says("2", "a", "thumb", -1.0, user="u", hour=2),
        says("3", "a", "thumb", 1.0, user="v", hour=0),
        says("4", "a", "thumb", 1.0, hour=0),
    ]
    assert arrived(lake, "0001-a", [talk("a")], feedback)["id"].to_list() == ["2", "3", "4"]
    assert books(lake, "0001-a")["overruled by the same user"] == 1


def test_late_and_early_feedback_meet_their_answers(tmp_path):
    lake = Lake(str(tmp_path / "lake"))
    early = says("1early", "b", "edit", preferred="Better.")
    assert arrived(lake, "0001-a", [talk("a", split="holdout")], [early]).height == 0
    found = arrived(lake, "0002-b", [talk("b")], [says("2late", "a", "thumb", 1.0)])
    assert found.select("id", "target_id", "split", "chosen").rows() == [
        ("1early", "b", "train", "Better."),
        ("2late", "a", "holdout", "Yes."),
    ]


def test_feedback_on_a_duplicate_follows_the_kept_row_if_that_says_the_same(tmp_path):
    lake = Lake(str(tmp_path / "lake"))
    repeats = [{"id": "same", "kept_id": "kept"}, {"id": "other", "kept_id": "kept"}]
    write(lake, "duplicates", "0001-a", repeats, step="dedupe")
    talks = [talk("kept"), talk("same"), talk("other", answer="No.")]
    feedback = [says("1", "same", "thumb", -1.0), says("2", "other", "thumb", -1.0)]
    found = arrived(lake, "0001-a", talks, feedback)
    assert found.select("target_id", "chosen").rows() == [("kept", "Yes."), ("other", "No.")]


def test_no_feedback(tmp_path):
    lake = Lake(str(tmp_path / "lake"))
    assert arrived(lake, "0001-a", [talk("a")], []).height == 0
