"""Mixing: rules, shares, views, the manifest and what is skipped."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from configs.mixing import RECIPE, MixSettings, MixSource
from configs.settings import SelectSettings, StageSettings
from storage import erasures
from storage.lake import Lake
from storage.publish import publish
from storage.registry import Model, register
from storage.rewrite import drop
from storage.snapshot import digest
from tasks.mix import task as mixing
from tasks.mix.mixture import Mixed, make_mixture
from tasks.mix.task import Mixture, mix
from tasks.text.sealed import sealed_rows
from tests.tiny_model import make_tiny_model

BATCH = "0001-aaaaaaaa"
SEALED = "Where is the parcel that left your house on Monday, please?"
OPEN = SelectSettings(perplexity_quantiles=(0, 1), max_template_share=1)
GENERAL, SYNTHETIC, USER, PREFERENCES = RECIPE


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(make_tiny_model(tmp_path_factory.mktemp("model")))


def talk(name: str, question: str = "", answer: str = "", **columns: Any) -> dict[str, Any]:
    turns = [
        {"role": "user", "content": question or f"How do I change order number {name}, please?"},
        {"role": "assistant", "content": answer or f"You change order {name} in your account, under orders."},
    ]
    return {
        "id": name,
        "kind": "conversation",
        "source": "app",
        "occurred_at": datetime(2026, 1, 1, tzinfo=UTC),
        "messages": turns,
        "language": "en",
        "domain": "product",
        "origin": "user",
        "split": "train",
        "chars": 100,
        "repetition": 0.0,
        "symbol_share": 0.0,
        "refusal": False,
    } | columns


def curate(lake: Lake, rows: list[dict[str, Any]], batch: str = BATCH) -> None:
    frame = pl.DataFrame(rows, infer_schema_length=None)
    publish(lake, "curated", frame, step="score", batch=batch, key=digest(batch))
    publish(lake, "sealed", sealed_rows(frame, lake.secret()), step="score", batch=batch, key=digest(batch))


def prefer(lake: Lake, rows: list[dict[str, Any]]) -> None:
    frame = pl.DataFrame([{"split": "train"} | row for row in rows], infer_schema_length=None)
    publish(lake, "preferences", frame, step="prefer", batch=BATCH, key=digest("prefer"))


def run(lake: Lake, model: str, stage: str = "sft", batch: str = BATCH, seed: int = 1, **settings: Any) -> Mixture:
    wanted = MixSettings(**({"select": OPEN, "min_rows": 1} | settings))
    return mix.fn(lake, stage, batch, wanted, StageSettings(max_length=256), model, seed)


def rows_of(lake: Lake, mixture: Mixture) -> pl.DataFrame:
    assert mixture.snapshot is not None
    return lake.scan(mixture.snapshot).sort("id").collect()


def manifest_of(lake: Lake, mixture: Mixture) -> dict[str, Any]:
    assert mixture.snapshot is not None
    found: dict[str, Any] = json.loads(lake.read("manifests", batch=mixture.snapshot.batch).collect()["manifest"][0])
    return found


def books_of(lake: Lake, stage: str = "sft") -> dict[str, float]:
    books = lake.read("books", batch=BATCH, step=f"mix_{stage}").filter(pl.col("kind") == "out").collect()
    return dict(zip(books["name"], books["value"], strict=True))


def test_every_rule_leaves_its_rows_out_and_the_books_say_so(tmp_path: Path, model: str) -> None:
    lake = Lake(str(tmp_path))
    curate(
        lake,
        [
            talk("good"),
            talk("short", chars=3),
            talk("stutter", repetition=0.9),
            talk("noise", symbol_share=0.8),
            talk("refuses", refusal=True),
            talk("poor", reward=0.1),
            talk("unanswered", messages=[{"role": "user", "content": "Is there anybody at all?"}]),
            talk("long", answer="and on " * 400),
            talk("copied", question=f"  {SEALED.upper()}\n"),
            talk("contained", question=f"I asked you before: {SEALED}"),
            talk("sealed", question=SEALED, split="holdout"),
            talk("unsure", split="validation"),
        ],
    )
    mixture = run(lake, model)
    assert rows_of(lake, mixture)["id"].to_list() == ["good"]
    reasons = ["too_short", "repetitive", "symbols", "refusal", "low_reward", "no_answer", "too_long", "in_holdout"]
    assert books_of(lake) == {"mixed": 1.0} | dict.fromkeys(reasons, 1.0) | {"in_holdout": 2.0}
    assert manifest_of(lake, mixture)["dropped"] == dict.fromkeys(reasons, 1) | {"in_holdout": 2}


def test_perplexity_cuts_both_ends_of_a_language_that_has_enough_rows(tmp_path: Path, model: str) -> None:
    lake = Lake(str(tmp_path))
    rows = [talk(f"{number:03}", perplexity=float(number)) for number in range(100)]
    curate(lake, [*rows, talk("rare", perplexity=9e9, language="is")])
    mixture = run(lake, model, select=SelectSettings(perplexity_quantiles=(0.02, 0.95), max_template_share=1))
    kept = rows_of(lake, mixture)["id"].to_list()
    assert "rare" in kept
    assert {"000", "001", "096", "099"}.isdisjoint(kept)
    assert {"010", "050", "090"} <= set(kept)


def test_an_edit_replaces_the_answer_and_a_disliked_answer_is_no_target(tmp_path: Path, model: str) -> None:
    lake = Lake(str(tmp_path))
    curate(lake, [talk("plain"), talk("edited", refusal=True, reward=0.0), talk("down"), talk("redone", answer="Bad.")])
    prefer(
        lake,
        [
            {"id": "1", "kind": "pair", "origin": "edit", "target_id": "edited", "chosen": "Better.", "rejected": "x"},
            {"id": "2", "kind": "label", "origin": "thumb", "target_id": "down", "label": False, "chosen": "y"},
            {"id": "3", "kind": "label", "origin": "thumb", "target_id": "edited", "label": False, "chosen": "y"},
            {"id": "4", "kind": "label", "origin": "thumb", "target_id": "plain", "label": True, "chosen": "y"},
            {
                "id": "5",
                "kind": "pair",
                "origin": "regenerate",
                "target_id": "redone",
                "chosen": "C",
                "rejected": "Bad.",
            },
            {"id": "6", "kind": "pair", "origin": "best_of_n", "target_id": "plain", "chosen": "C", "rejected": "D"},
        ],
    )
    rows = rows_of(lake, run(lake, model))
    assert rows["id"].to_list() == ["edited", "plain"]
    assert rows["completion"][0][0]["content"] == "Better."
    assert [message["role"] for message in rows["prompt"][0]] == ["user"]
    assert books_of(lake)["disliked"] == 2


def test_shares_are_of_trained_tokens_and_a_shortfall_is_said(
    tmp_path: Path, model: str, caplog: pytest.LogCaptureFixture
) -> None:
    lake = Lake(str(tmp_path))
    users = [talk(f"u{number}") for number in range(60)]
    generated = [talk(f"s{number}", origin="synthetic") for number in range(60)]
    general = [talk(f"g{number}", domain="general") for number in range(60)]
    curate(lake, users + generated + general)
    mixture = run(lake, model)
    parts = manifest_of(lake, mixture)["parts"]
    assert parts["user"]["rows"] == 60
    replayed = rows_of(lake, mixture).filter(replay=True)["id"]
    assert (len(replayed), set(replayed.str.head(1))) == (parts["general"]["rows"], {"g"})
    assert 0.07 < parts["general"]["share"] <= 0.1
    assert 0.27 < parts["synthetic"]["share"] <= 0.3
    assert not [record for record in caplog.records if "missing" in record.message]

    much = MixSource(name="general", table="curated", select=GENERAL.select, weight=0.8)
    parts = manifest_of(lake, run(lake, model, sources=(much, USER)))["parts"]
    assert parts["general"]["rows"] == 60
    assert parts["general"]["missing_tokens"] > 0
    assert [record for record in caplog.records if "are missing" in record.message]


def test_without_user_rows_nothing_is_mixed(tmp_path: Path, model: str) -> None:
    lake = Lake(str(tmp_path))
    curate(lake, [talk("g", domain="general"), talk("s", origin="synthetic")])
    mixture = run(lake, model)
    assert mixture.snapshot is None
    assert mixture.rows == 0


def test_most_rows_are_kept_to_and_a_grown_history_changes_little(tmp_path: Path, model: str) -> None:
    before, after = Lake(str(tmp_path / "a")), Lake(str(tmp_path / "b"))
    rows = [talk(f"u{number}") for number in range(200)] + [
        talk(f"g{number}", domain="general") for number in range(50)
    ]
    curate(before, rows)
    curate(after, rows + [talk(f"new{number}") for number in range(20)])
    first, second = (rows_of(lake, run(lake, model, max_rows=100)) for lake in (before, after))
    assert first.height == 100
    assert second.height in {99, 100}  # the last row must fit in with its share of replay
    assert len(set(first["id"]) & set(second["id"])) >= 80


def test_the_same_rows_are_the_same_mixture_and_another_seed_is_another_sample(tmp_path: Path, model: str) -> None:
    one, two = Lake(str(tmp_path / "a")), Lake(str(tmp_path / "b"))
    rows = [talk(f"u{number}") for number in range(50)]
    curate(one, rows)
    curate(two, rows[::-1])
    mixtures = [run(one, model, max_rows=20), run(two, model, max_rows=20), run(one, model, max_rows=20)]
    assert len({mixture.snapshot.batch for mixture in mixtures if mixture.snapshot}) == 1
    assert one.read("mixtures").collect().height == 20
    other = run(one, model, max_rows=20, seed=2)
    assert other.snapshot
    assert other.snapshot.batch != mixtures[0].snapshot.batch  # type: ignore[union-attr]


def test_documents_and_general_conversations_are_text_for_pretraining(tmp_path: Path, model: str) -> None:
    lake = Lake(str(tmp_path))
    page = {"role": "document", "content": "Our printer has two trays. " * 30}
    curate(lake, [talk("page", kind="document", messages=[page]), talk("chat"), talk("g", domain="general")])
    mixture = run(lake, model, stage="cpt", sources=(GENERAL.model_copy(update={"weight": 0.5}), USER))
    rows = rows_of(lake, mixture)
    assert rows["id"].to_list() == ["g", "page"]
    assert rows["text"][0].startswith("<|im_start|>user\n")
    assert rows["text"][1] == page["content"]
    assert rows["trained_tokens"][1] < rows["tokens"][1]


def test_pairs_keep_prompt_chosen_and_rejected(tmp_path: Path, model: str) -> None:
    lake = Lake(str(tmp_path))
    prompt = [{"role": "user", "content": "Which plan is the right one?"}]
    pair = {
        "kind": "pair",
        "origin": "edit",
        "target_id": "t",
        "prompt": prompt,
        "chosen": "Team.",
        "rejected": "None.",
    }
    prefer(
        lake,
        [
            pair | {"id": "1"},
            pair | {"id": "2"},
            pair | {"id": "3", "rejected": "Team."},
            pair | {"id": "4", "chosen": " "},
            pair | {"id": "5", "chosen": "Basic.", "split": "holdout"},
            {"id": "6", "kind": "label", "origin": "thumb", "target_id": "t", "label": True, "chosen": "Team."},
            pair | {"id": "7", "origin": "best_of_n", "chosen": "Small."},
        ],
    )
    rows = rows_of(lake, run(lake, model, stage="dpo"))
    assert rows["id"].to_list() == ["1", "7"]
    assert rows["chosen"][0][0]["content"] == "Team."
    assert rows["rejected"][0][0] == rows["rejected"][1][0]
    assert books_of(lake, "dpo") == {"mixed": 2, "repeated": 1, "no_difference": 1, "no_answer": 1}


def test_thumbs_become_liked_and_disliked_answers(tmp_path: Path, model: str) -> None:
    lake = Lake(str(tmp_path))
    prompt = [{"role": "user", "content": "Which plan is the right one?"}]
    thumb = {"kind": "label", "origin": "thumb", "target_id": "t", "prompt": prompt, "chosen": "Team.", "label": True}
    prefer(
        lake,
        [
            thumb | {"id": "1"},
            thumb | {"id": "2"},
            thumb | {"id": "3", "chosen": "None.", "label": False},
            thumb | {"id": "4", "chosen": "Some."},
            thumb | {"id": "5", "chosen": "Some.", "label": False},
            thumb | {"id": "6", "split": "holdout"},
        ],
    )
    rows = rows_of(lake, run(lake, model, stage="kto"))
    assert rows["id"].to_list() == ["1", "3"]
    assert rows["chosen"].to_list()[0][0]["content"] == "Team."
    assert rows["rejected"].to_list()[1][0]["content"] == "None."
    assert rows["rejected"][0] is None
    assert books_of(lake, "kto") == {"mixed": 2, "repeated": 1, "contradicted": 2}


@pytest.mark.parametrize("stage", ["orpo", "reward"])
def test_every_stage_that_compares_reads_pairs(tmp_path: Path, model: str, stage: str) -> None:
    lake = Lake(str(tmp_path))
    prompt = [{"role": "user", "content": "Which plan is the right one?"}]
    pair = {"kind": "pair", "origin": "edit", "target_id": "t", "prompt": prompt, "chosen": "Team.", "rejected": "No."}
    prefer(lake, [pair | {"id": "1"}, pair | {"id": "2", "split": "holdout"}])
    rows = rows_of(lake, run(lake, model, stage=stage))
    assert [turns[0]["content"] for turns in (rows["chosen"][0], rows["rejected"][0])] == ["Team.", "No."]
    assert set(rows["stage"]) == {stage}


def test_the_answers_of_a_teacher_are_those_of_fine_tuning(tmp_path: Path, model: str) -> None:
    lake = Lake(str(tmp_path))
    curate(lake, [talk("a"), talk("refuses", refusal=True)])
    taught, tuned = (rows_of(lake, run(lake, model, stage=stage)) for stage in ("distill", "sft"))
    columns = ["id", "prompt", "completion", "tokens", "trained_tokens"]
    assert taught.select(columns).equals(tuned.select(columns))
    assert taught["id"].to_list() == ["a"]


@pytest.mark.parametrize("stage", ["grpo", "rloo"])
def test_prompts_come_with_a_reference_where_nobody_disliked_the_answer(tmp_path: Path, model: str, stage: str) -> None:
    lake = Lake(str(tmp_path))
    asked = [{"role": "user", "content": "Is there anybody at all?"}]
    system = [{"role": "system", "content": "Be brief."}]
    rows = [talk("good", refusal=True), talk("edited"), talk("down"), talk("redone", answer="Bad.")]
    curate(lake, [*rows, talk("asked", messages=asked), talk("empty", messages=system), talk("long", "and on " * 400)])
    prefer(
        lake,
        [
            {"id": "1", "kind": "pair", "origin": "edit", "target_id": "edited", "chosen": "Better.", "rejected": "x"},
            {
                "id": "2",
                "kind": "label",
                "origin": "thumb",
                "target_id": "down",
                "label": False,
                "chosen": rows[2]["messages"][1]["content"],
            },
            {
                "id": "3",
                "kind": "pair",
                "origin": "regenerate",
                "target_id": "redone",
                "chosen": "C",
                "rejected": "Bad.",
            },
        ],
    )
    mixed = rows_of(lake, run(lake, model, stage=stage))
    references = {row["id"]: row["completion"] and row["completion"][0]["content"] for row in mixed.to_dicts()}
    good = rows[0]["messages"][1]["content"]
    assert references == {"asked": None, "good": good, "edited": "Better.", "down": None, "redone": None}
    assert all(turns[-1]["role"] == "user" for turns in mixed["prompt"])
    assert mixed["tokens"].min() > 0  # type: ignore[operator]
    assert books_of(lake, stage) == {"mixed": 5, "no_prompt": 1, "too_long": 1}


def test_rows_that_the_model_learned_before_are_not_new(tmp_path: Path, model: str) -> None:
    lake = Lake(str(tmp_path))
    curate(lake, [talk(f"u{number}") for number in range(10)])
    first = run(lake, model, min_rows=8)
    assert first.snapshot is not None
    champion = Model("sft-1", "lm", "sft", model, "hash", parent="base", mixture=first.snapshot.batch)
    register(lake, champion, batch=BATCH)
    curate(lake, [talk(f"v{number}") for number in range(3)], "0002-bbbbbbbb")
    second = run(lake, model, batch="0002-bbbbbbbb", min_rows=8)
    assert second.snapshot is None
    assert second.reason == "3 new rows, fewer than mix.min_rows = 8: they wait for the next batch"
    third = run(lake, model, batch="0002-bbbbbbbb", min_rows=3)
    assert third.rows == 13
    again = run(lake, model, batch=BATCH, min_rows=3)
    assert again.rows == 10


def test_what_is_mixed_while_somebody_is_erased_is_mixed_again(
    tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake(str(tmp_path / "lake"))
    curate(lake, [talk("a"), talk("b"), talk("gone")])

    def erased_meanwhile(*arguments: Any) -> Mixed:
        made = make_mixture(*arguments)
        if drop(lake, "curated", pl.col("id") == "gone"):
            marks = erasures.marks(lake.secret(), {"row": ["gone"]})
            publish(lake, "erasures", marks, step="erase", batch="1", key=digest("erase"))
        return made

    monkeypatch.setattr(mixing, "make_mixture", erased_meanwhile)
    assert rows_of(lake, run(lake, model))["id"].to_list() == ["a", "b"]
    assert sorted(lake.read("mixtures").collect()["id"]) == ["a", "b"]
    assert lake.read("manifests").collect().height == 1
