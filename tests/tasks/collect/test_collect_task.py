"""The door of collect: each record once, whatever was repeated, rotated or replaced."""

import gzip
import json
from typing import Any

import polars as pl
import pytest

from storage.snapshot import digest
from tasks.collect.plan import plan
from tasks.collect.run import collect_new
from tasks.collect.task import collect
from tasks.records.files import SourceError
from tests.tasks.collect.logs import books, log, rows, settings, write


def test_a_log_becomes_rows_and_nothing_new_is_nothing(lake, tmp_path):
    file = write(tmp_path / "app.jsonl", log("a", "How do I sync?"), "{broken", log("b", "Wie geht das?", user="u2"))
    snapshot = collect.fn(lake, settings(file))
    assert snapshot is not None
    assert books(lake, snapshot.batch) == {"interactions": 2, "quarantined": 1}
    found = rows(lake).sort("occurred_at", "id")
    assert set(found["id"]) == {digest("s0", "a"), digest("s0", "b")}
    assert found["messages"].list.len().to_list() == [2, 2]
    assert found["user_hash"].n_unique() == 2
    assert "u1" not in str(found.drop("messages").rows())
    bad = rows(lake, "quarantine").row(0, named=True)
    assert (bad["position"], bad["content"]) == (2, "{broken")
    assert bad["uri"] == str(file)
    assert collect.fn(lake, settings(file)) is None


def test_only_what_was_appended_is_read_and_bad_lines_keep_their_number(lake, tmp_path):
    file = write(tmp_path / "app.jsonl", log("a", "one"), log("b", "two"))
    collect.fn(lake, settings(file))
    write(file, log("c", "three"), "oops", mode="a")
    second = collect.fn(lake, settings(file))
    assert books(lake, second.batch) == {"interactions": 1, "quarantined": 1}
    assert rows(lake, "quarantine")["position"].to_list() == [4]
    assert rows(lake).height == 3


def test_a_line_that_is_being_written_waits(lake, tmp_path):
    whole = json.dumps(log("b", "two"))
    file = write(tmp_path / "app.jsonl", log("a", "one"))
    with file.open("a") as out:
        out.write(whole[:40])
    collect.fn(lake, settings(file))
    assert rows(lake).height == 1
    with file.open("a") as out:
        out.write(whole[40:])  # still without a line break, but whole
    collect.fn(lake, settings(file))
    assert rows(lake).height == 2
    assert rows(lake, "quarantine").height == 0


def test_a_rotated_log_is_recognised_and_its_successor_is_read(lake, tmp_path):
    file = write(tmp_path / "logs" / "app.jsonl", log("a", "one"))
    collect.fn(lake, settings(tmp_path / "logs"))
    write(file, log("b", "two"), mode="a")  # written after the run, then rotated
    file.rename(tmp_path / "logs" / "app.jsonl.1")
    write(file, log("c", "three"))
    snapshot = collect.fn(lake, settings(tmp_path / "logs"))
    assert books(lake, snapshot.batch) == {"interactions": 2}
    packed = tmp_path / "logs" / "app.jsonl.1.gz"
    packed.write_bytes(gzip.compress((tmp_path / "logs" / "app.jsonl.1").read_bytes()))
    snapshot = collect.fn(lake, settings(tmp_path / "logs"))
    assert books(lake, snapshot.batch) == {"repeated": 2}
    assert rows(lake).height == 3


def test_a_replaced_file_is_read_from_its_beginning(lake, tmp_path):
    file = write(tmp_path / "app.jsonl", log("a", "one"), log("b", "two"))
    collect.fn(lake, settings(file))
    write(file, log("c", "a new file of the same name"))
    collect.fn(lake, settings(file))
    assert set(rows(lake)["id"]) == {digest("s0", name) for name in "abc"}


def test_requests_of_a_conversation_become_one_row(lake, tmp_path):
    first = log("a", "one", answer="1")
    second = log("b", "one", "1", "two", answer="2", minutes=1)
    third = log("c", "one", "1", "two", "2", "three", answer="3", minutes=2)
    other = log("d", "one", "1", "other way", user="u2", minutes=3)
    snapshot = collect.fn(lake, settings(write(tmp_path / "app.jsonl", third, first, second, other)))
    assert books(lake, snapshot.batch) == {"interactions": 2, "superseded": 2}
    row = rows(lake).filter(pl.col("id") == digest("s0", "c")).row(0, named=True)
    assert [turn["content"] for turn in row["messages"]] == ["one", "1", "two", "2", "three", "3"]


def test_a_later_batch_that_extends_a_conversation_keeps_its_conversation_id(lake, tmp_path):
    file = write(tmp_path / "app.jsonl", log("a", "one", answer="1"))
    collect.fn(lake, settings(file))
    write(file, log("b", "one", "1", "two", minutes=1), mode="a")
    collect.fn(lake, settings(file))
    assert rows(lake).height == 2
    assert rows(lake)["conversation_id"].n_unique() == 1


def test_a_judged_answer_keeps_its_row_also_when_the_judgement_comes_nights_later(lake, tmp_path):
    logs = write(
        tmp_path / "app.jsonl", log("a", "one", answer="1"), log("b", "one", "1", "two", answer="2", minutes=1)
    )
    write(logs, log("c", "one", "1", "two", "2", "three", answer="3", minutes=2), mode="a")
    said = write(tmp_path / "said.jsonl", {"target_id": "a", "kind": "thumb", "value": 1})
    snapshot = collect.fn(lake, settings(logs, said))
    assert books(lake, snapshot.batch) == {"interactions": 2, "superseded": 1, "feedback": 1}
    late = {"target_id": "b", "kind": "thumb", "value": "down", "timestamp": "2026-05-20T00:00:00Z"}
    write(said, late, {"target_id": "c", "kind": "rating", "value": 0.5}, mode="a")
    snapshot = collect.fn(lake, settings(logs, said))
    assert books(lake, snapshot.batch) == {"interactions": 1, "feedback": 2}
    row = rows(lake).filter(pl.col("id") == digest("s0", "b")).row(0, named=True)
    assert [turn["content"] for turn in row["messages"]] == ["one", "1", "two", "2"]
    assert rows(lake)["conversation_id"].n_unique() == 1
    assert set(rows(lake, "feedback")["target_id"]) <= set(rows(lake)["id"])


def test_feedback_that_comes_before_its_answer_keeps_the_answer_a_row(lake, tmp_path, caplog):
    said = write(tmp_path / "said.jsonl", {"target_id": "a", "kind": "thumb", "value": 1})
    logs = tmp_path / "logs"
    logs.mkdir()
    collect.fn(lake, settings(logs, said))
    assert "1 answers that are not here (yet)" in caplog.text
    write(logs / "app.jsonl", log("a", "one", answer="1"), log("b", "one", "1", "two", minutes=1))
    snapshot = collect.fn(lake, settings(logs, said))
    assert books(lake, snapshot.batch) == {"interactions": 2}


def test_feedback_about_a_trace_finds_its_newest_answer_also_nights_later(lake, tmp_path):
    def generation(name: str, trace: str, hour: int) -> dict:
        said = {"input": f"Question {name}", "output": f"Answer {name}", "startTime": f"2026-05-01T0{hour}:00:00Z"}
        return {"id": name, "traceId": trace, "type": "GENERATION", **said}

    def score(name: str, trace: str) -> dict:
        said = {"name": "thumb", "dataType": "BOOLEAN", "value": 1, "timestamp": "2026-05-20T00:00:00Z"}
        return {"id": name, "traceId": trace, **said}

    file = tmp_path / "langfuse.jsonl"
    write(file, generation("late", "t1", 3), generation("early", "t1", 1), score("s1", "t1"), generation("x", "t2", 2))
    collect.fn(lake, settings(file))
    write(file, score("s2", "t2"), score("s2", "t2"), mode="a")
    collect.fn(lake, settings(file))
    targets = dict(rows(lake, "feedback").select("id", "target_id").iter_rows())
    assert sorted(targets.values()) == sorted([digest("s0", "late"), digest("s0", "x")])


def test_feedback_about_a_trace_that_comes_before_its_answers_finds_the_newest_of_them(lake, tmp_path):
    said = {"name": "thumb", "dataType": "BOOLEAN", "value": 1, "timestamp": "2026-05-01T09:00:00Z"}
    correction = {"name": "output", "dataType": "CORRECTION", "stringValue": "Better.", "timestamp": said["timestamp"]}
    file = tmp_path / "langfuse.jsonl"
    write(file, {"id": "s1", "traceId": "t1", **said}, {"id": "s2", "traceId": "t2", **correction})
    collect.fn(lake, settings(file))
    logged = {"type": "GENERATION", "traceId": "t1", "output": "An answer"}
    turns = [{"role": "user", "content": "One?"}, {"role": "assistant", "content": "An answer"}]
    write(
        file,
        {"id": "g1", "input": turns[:1], "startTime": "2026-05-01T08:00:00Z", **logged},
        {"id": "g2", "input": [*turns, *turns[:1]], "startTime": "2026-05-01T08:01:00Z", **logged},
        {"id": "g3", "input": "Three?", "startTime": "2026-05-01T08:00:00Z", **logged, "traceId": "t3"},
        mode="a",
    )
    collect.fn(lake, settings(file))
    feedback = rows(lake, "feedback")
    assert dict(feedback.select("id", "target_id").iter_rows()) == {
        digest("s0", "feedback", "s1"): digest("s0", "g2"),
        digest("s0", "feedback", "s2"): digest("s0", "t2"),
    }
    assert feedback["preferred"].drop_nulls().to_list() == ["Better."]
    logs = (tmp_path / "lake" / "tables" / "feedback" / "_delta_log").glob("*.json")
    assert not any("Better." in log.read_text() for log in logs)


def test_feedback_of_every_kind_is_taken_once_and_bad_feedback_is_quarantined(lake, tmp_path):
    logs = write(tmp_path / "app.jsonl", log("a", "one"))
    said = write(
        tmp_path / "said.jsonl",
        {"target_id": "a", "kind": "edit", "preferred": "better", "user": "u9"},
        {"target_id": "a", "kind": "comparison", "preferred": "x", "rejected": "y"},
        {"target_id": "a", "kind": "comment", "comment": "hm"},
        {"target_id": "a", "kind": "comment", "comment": "hm"},
        {"target_id": "a", "kind": "rating", "value": 5},
        {"target_id": "a", "kind": "applause"},
    )
    snapshot = collect.fn(lake, settings(logs, said))
    assert books(lake, snapshot.batch) == {"interactions": 1, "feedback": 3, "repeated": 1, "quarantined": 2}
    collect.fn(lake, settings(logs, write(tmp_path / "again" / "said.jsonl", *said.read_text().splitlines())))
    assert rows(lake, "feedback").height == 3


def test_one_id_with_two_contents_is_not_lost_silently(lake, tmp_path):
    first = write(tmp_path / "one.jsonl", log("a", "one"), log("a", "one"), log("a", "other"))
    snapshot = collect.fn(lake, settings(first))
    assert books(lake, snapshot.batch) == {"interactions": 1, "repeated": 1, "quarantined": 1}
    second = write(tmp_path / "two.jsonl", log("a", "one"), log("a", "a third"))
    snapshot = collect.fn(lake, settings(str(tmp_path / "*.jsonl")))
    assert second.exists()
    assert books(lake, snapshot.batch) == {"repeated": 1, "quarantined": 1}


def test_consent_is_read_from_the_record_or_its_metadata_and_covers_what_is_repeated(lake, tmp_path):
    refused = log("a", "one", answer="1", consent=False)
    in_request = log("b", "two")
    in_request["request"]["metadata"] = {"consent": "no"}
    extension = log("c", "one", "1", "more", minutes=1)
    unclear = log("d", "four", consent="perhaps")
    file = write(tmp_path / "app.jsonl", refused, in_request, extension, log("e", "five"), unclear)
    snapshot = collect.fn(lake, settings(file))
    assert books(lake, snapshot.batch) == {"interactions": 3, "superseded": 1, "quarantined": 1}
    consents = dict(rows(lake).select("id", "consent").iter_rows())
    assert consents == {digest("s0", "b"): False, digest("s0", "c"): False, digest("s0", "e"): True}


def test_batches_are_bounded_and_one_call_takes_them_all(lake, tmp_path):
    write(tmp_path / "app.jsonl", *(log(f"n{at}", f"question {at}", minutes=at) for at in range(50)))
    last = collect.fn(lake, settings(tmp_path / "app.jsonl", batch_bytes=3000))
    assert last.batch.startswith("00")
    assert rows(lake)["batch"].n_unique() > 3
    assert rows(lake)["id"].n_unique() == rows(lake).height == 50


def test_what_another_collector_planned_meanwhile_is_published_before_this_one_ends(lake, tmp_path, monkeypatch):
    write(tmp_path / "app.jsonl", *(log(f"n{at}", f"question {at}") for at in range(3)))

    def overtaken(*about: Any) -> str | None:
        plan(*about)  # by the other one, which has not published yet
        return plan(*about)

    monkeypatch.setattr("tasks.collect.run.plan", overtaken)
    assert collect_new(lake, settings(tmp_path / "app.jsonl")) is not None
    assert rows(lake).height == 3


def test_a_path_that_does_not_exist_is_said_and_an_empty_glob_is_nothing_to_do(lake, tmp_path, caplog):
    with pytest.raises(SourceError, match=r"Source s0: .*nowhere does not exist"):
        collect.fn(lake, settings(tmp_path / "nowhere"))
    caplog.set_level("INFO")
    assert collect.fn(lake, settings(tmp_path / "*.jsonl")) is None
    assert "nothing to do" in caplog.text


def test_planned_bytes_that_are_gone_are_taken_when_they_come_back(lake, tmp_path, monkeypatch):
    write(tmp_path / "in" / "kept.jsonl", log("a", "one"))
    lost = write(tmp_path / "in" / "lost.jsonl", log("b", "two"))
    with monkeypatch.context() as patched:
        patched.setattr("tasks.collect.run.collect_batch", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            collect.fn(lake, settings(tmp_path / "in"))
    content = lost.read_bytes()
    lost.unlink()
    collect.fn(lake, settings(tmp_path / "in"))
    assert set(rows(lake)["id"]) == {digest("s0", "a")}
    lost.write_bytes(content)
    collect.fn(lake, settings(tmp_path / "in"))
    assert set(rows(lake)["id"]) == {digest("s0", "a"), digest("s0", "b")}


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt
