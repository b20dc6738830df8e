"""The doors of the dedupe step, on a lake: what is left out, what stays, and that it happens once."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from configs.settings import DedupeSettings
from storage.lake import Lake, LakeError
from storage.maintain import compact
from storage.publish import publish
from storage.rewrite import drop, named
from storage.snapshot import Snapshot, digest
from tasks.dedupe.index import remove_stale
from tasks.dedupe.task import dedupe, dedupe_scrubbed

START = datetime(2026, 1, 1, tzinfo=UTC)
LONG = " ".join(f"word{number % 97} piece{number}" for number in range(120))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def collected(
    lake: Lake, batch: str, texts: dict[str, str], *, table: str = "interactions", **columns: object
) -> Snapshot:
    rows = [
        {
            "id": name,
            "kind": "conversation",
            "occurred_at": START + timedelta(minutes=number),
            "messages": [{"role": "user", "content": text}, {"role": "assistant", "content": "Here you are."}],
            **({"consent": True} if table == "interactions" else {"origin": "user"}),
            **columns,
        }
        for number, (name, text) in enumerate(texts.items())
    ]
    return publish(lake, table, pl.DataFrame(rows), step="collect", batch=batch, key=digest(batch, str(texts)))


def run(lake: Lake, batch: str, texts: dict[str, str], **settings: object) -> dict[str, tuple[str, str]]:
    return left_out(lake, dedupe.fn(lake, collected(lake, batch, texts), DedupeSettings.model_validate(settings)))


def left_out(lake: Lake, snapshot: Snapshot) -> dict[str, tuple[str, str]]:
    rows = lake.scan(snapshot).select("id", "kept_id", "reason").collect()
    return {name: (kept, reason) for name, kept, reason in rows.iter_rows()}


def test_exact_and_near_duplicates_within_a_batch(lake: Lake) -> None:
    texts = {
        "a": "What is the capital of France?",
        "b": "what is THE capital of  france",
        "c": "What is capital of France, please",
        "d": "What is the capital of Spain?",
        "e": LONG,
        "f": LONG + " and one more word",
        "g": "2+3",
        "h": "4+7",
    }
    found = run(lake, "0001-a", texts)
    assert set(found) == {"a", "b", "e"}  # the longest stays
    assert found["e"] == ("f", "near")
    assert {kept for kept, _ in found.values()} == {"c", "f"}


def test_a_later_batch_repeats_what_was_kept_before(lake: Lake) -> None:
    run(lake, "0001-a", {"a": "How do I reset my password?", "b": LONG})
    found = run(lake, "0002-b", {"c": "How do I reset my PASSWORD", "d": LONG + " the end of it all", "e": "Hello?"})
    assert found == {"c": ("a", "exact"), "d": ("b", "near")}


def test_feedback_decides_what_stays_then_length_then_age(lake: Lake) -> None:
    feedback = pl.DataFrame({"id": ["f1"], "target_id": ["b"], "kind": ["thumb"], "value": [1.0]})
    publish(lake, "feedback", feedback, step="collect", batch="0001-a", key=digest("feedback"))
    found = run(
        lake, "0001-a", {"a": "Tell me a joke.", "b": "tell me a joke", "c": "Tell me a joke", "x": "Why?", "y": "Why?"}
    )
    assert found == {"a": ("b", "exact"), "c": ("b", "exact"), "y": ("x", "exact")}


def test_rows_without_consent_take_no_part(lake: Lake) -> None:
    refused = collected(lake, "0001-a", {"a": "My secret question"}, consent=False)
    assert left_out(lake, dedupe.fn(lake, refused, DedupeSettings())) == {}
    assert lake.read("signatures").collect().height == 0
    assert run(lake, "0002-b", {"b": "My secret question"}) == {}
    books = lake.read("books", batch="0001-a", step="dedupe").collect()
    assert dict(books.filter(kind="out").select("name", "value").iter_rows())["no_consent"] == 1


def test_a_batch_again_changes_nothing_and_never_meets_itself(lake: Lake) -> None:
    texts = {"a": "Write a haiku about snow", "b": "write a haiku about snow!", "c": "Write a haiku about rain"}
    first = run(lake, "0001-a", texts)
    assert run(lake, "0001-a", texts) == first
    again = run(lake, "0001-a", texts, bucket_cap=5)  # other settings: all of it is done again
    assert again == first
    assert lake.read("signatures").collect().height == 2


def test_a_crash_between_the_two_tables_leaves_no_trace_twice(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    import storage.publish

    rows = collected(lake, "0001-a", {"a": "One question", "b": "one question", "c": "Another thing"})
    real = storage.publish.publish

    def crash(lake: Lake, table: str, *args: object, **kwargs: object) -> Snapshot:
        if table == "duplicates":
            raise KeyboardInterrupt
        return real(lake, table, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(storage.publish, "publish", crash)
    with pytest.raises(KeyboardInterrupt):
        dedupe.fn(lake, rows, DedupeSettings())
    monkeypatch.undo()
    assert left_out(lake, dedupe.fn(lake, rows, DedupeSettings())) == {"b": ("a", "exact")}
    assert sorted(lake.read("signatures").collect()["id"]) == ["a", "c"]


def test_scrubbed_rows_that_became_equal(lake: Lake) -> None:
    before = collected(lake, "0001-a", {"a": "I am <PERSON>, hello", "b": "Something else"}, table="scrubbed")
    assert left_out(lake, dedupe_scrubbed.fn(lake, before, DedupeSettings())) == {}
    now = collected(lake, "0002-b", {"c": "I am <PERSON>, hello", "d": "I am <PERSON> and so on"}, table="scrubbed")
    for settings in (DedupeSettings(), DedupeSettings(bucket_cap=5)):  # other settings: all of it is done again
        assert left_out(lake, dedupe_scrubbed.fn(lake, now, settings)) == {"c": ("a", "scrubbed_exact")}


def test_a_duplicate_of_a_row_that_fell_out_later_follows_it_to_what_stays(lake: Lake) -> None:
    run(lake, "0001-a", {"a": "I am Ann, write a poem"})
    run(lake, "0002-b", {"b": "I am Bob, write a poem"})
    for batch, name in (("0001-a", "a"), ("0002-b", "b")):
        rows = collected(lake, batch, {name: "I am <PERSON>, write a poem"}, table="scrubbed")
        dedupe_scrubbed.fn(lake, rows, DedupeSettings())
    assert run(lake, "0003-c", {"c": "i am bob: write a poem"}) == {"c": ("a", "exact")}


def test_other_comparison_is_refused(lake: Lake) -> None:
    run(lake, "0001-a", {"a": "One question"})
    with pytest.raises(LakeError, match=r"set dedupe\.compare"):
        run(lake, "0002-b", {"b": "One question"}, compare="conversation")


def test_an_erased_text_is_forgotten(lake: Lake) -> None:
    run(lake, "0001-a", {"a": "My own words", "b": "Other words"})
    run(lake, "0002-a", {"e": "Entirely other words"})  # by now the index has a run of the first batch
    drop(lake, "signatures", named("signatures", ["a"]))
    remove_stale(lake)
    assert run(lake, "0003-b", {"c": "my own words", "d": "other words"}) == {"d": ("b", "exact")}


def test_maintenance_merges_runs_and_keeps_what_they_know(lake: Lake) -> None:
    for number in range(10):
        run(lake, f"{number:04d}-a", {f"a{number}": f"Question about thing{number}x"})
    assert compact(lake, "signatures")
    delta = lake.delta("signatures")
    assert delta is not None
    assert len(delta.file_uris()) == 1
    found = run(lake, "0099-b", {f"b{number}": f"question about thing{number}x?" for number in range(10)})
    assert found == {f"b{number}": (f"a{number}", "exact") for number in range(10)}


def test_two_conversations_that_open_alike_are_not_duplicates(lake: Lake) -> None:
    def turns(*texts: str) -> list[dict[str, str]]:
        return [{"role": role, "content": text} for text in texts for role in ("user", "assistant")]

    rows = pl.DataFrame(
        {
            "id": ["a", "b", "c"],
            "kind": ["conversation"] * 3,
            "consent": [True] * 3,
            "messages": [turns("Hi", "Plan my holiday"), turns("Hi", "Fix this bug"), turns("Hi")],
        }
    )
    snapshot = publish(lake, "interactions", rows, step="collect", batch="0001-a", key=digest("hi"))
    assert left_out(lake, dedupe.fn(lake, snapshot, DedupeSettings())) == {}


def test_an_empty_batch(lake: Lake) -> None:
    rows = collected(lake, "0001-a", {"a": "x"}, consent=False)
    assert left_out(lake, dedupe.fn(lake, rows, DedupeSettings())) == {}


def answered(lake: Lake, answers: dict[str, tuple[str, str, str | None]]) -> Snapshot:
    """Generated rows by id: prompt, answer, and the row whose prompt it is."""
    rows = [
        {
            "id": name,
            "kind": "conversation",
            "messages": [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}],
            "consent": True,
            "prompt_of": prompt_of,
        }
        for name, (prompt, answer, prompt_of) in answers.items()
    ]
    return publish(lake, "synthetic", pl.DataFrame(rows), step="synthesize", batch="0001-a-synthetic", key="ab" * 16)


def test_long_new_answers_to_other_prompts_are_no_duplicates_of_each_other(lake: Lake) -> None:
    run(lake, "0001-a", {"real": "How do I give a notebook another name?", "other": "Where are my deleted notes?"})
    long = " ".join(f"word{at}" for at in range(200))
    nearly = long.replace("word7 ", "term ")
    made = answered(
        lake,
        {
            "one": ("How do I give a notebook another name?", long, "real"),
            "near": ("How do I give a notebook another name?", nearly, "real"),
            "elsewhere": ("Where are my deleted notes?", long, "other"),
            "asked": (long, "Yes.", None),
        },
    )
    found = left_out(lake, dedupe.fn(lake, made, DedupeSettings()))
    assert list(found.values()) in ([("one", "near")], [("near", "near")])


def test_generated_rows_never_displace_real_ones_but_may_answer_their_prompts_anew(lake: Lake) -> None:
    real = "How do I give a notebook another name?"
    run(lake, "0001-a", {"real": real, "other": "Where are the notes that I deleted?"})
    better = "Open the menu of the notebook, choose Rename, and type what it should be called."
    made = answered(
        lake,
        {
            "copy": (real, "Choose Rename.", None),
            "anew": (real, better, "real"),
            "same": (real, better, "real"),
            "elsewhere": ("Where are the notes that I deleted?", better, "other"),
        },
    )
    found = left_out(lake, dedupe.fn(lake, made, DedupeSettings()))
    assert found["copy"] == ("real", "exact")
    assert set(found) in ({"copy", "anew"}, {"copy", "same"})
    columns = pl.col("id", "kind", "messages", "occurred_at")
    scrubbed = lake.scan(made).select(columns, origin=pl.lit("synthetic")).filter(pl.col("id") != "copy").collect()
    again = publish(lake, "scrubbed", scrubbed, step="scrub", batch=made.batch, key="cd" * 16)
    assert left_out(lake, dedupe_scrubbed.fn(lake, again, DedupeSettings())) == {}
