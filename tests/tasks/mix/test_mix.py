"""Mixing: rules, shares, views, the manifest and what is skipped."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from configs.mixing import MixSource
from configs.settings import SelectSettings
from storage import erasures
from storage.lake import Lake
from storage.publish import publish
from storage.registry import Model, register
from storage.rewrite import drop
from storage.snapshot import digest
from tasks.mix import task as mixing
from tasks.mix.mixture import Mixed, make_mixture
from tests.tasks.mix.lakes import (
    BATCH,
    GENERAL,
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
    assert mixture.manifest["rows"] == 0


def test_most_rows_are_kept_to_and_a_grown_history_changes_little(tmp_path: Path, model: str) -> None:
    before, after = Lake(str(tmp_path / "a")), Lake(str(tmp_path / "b"))
    rows = [talk(f"u{number}") for number in range(200)] + [
        talk(f"g{number}", domain="general") for number in range(50)
    ]
    curate(before, rows)
    curate(after, rows + [talk(f"new{number}") for number in range(20)])
    first, second = (rows_of(lake, run(lake, model, max_rows=100)) for lake in (before, after))
    assert {first.height, second.height} <= {99, 100}  # the last row must fit in with its share of replay
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
    assert third.manifest["rows"] == 13
    again = run(lake, model, batch=BATCH, min_rows=3)
    assert again.manifest["rows"] == 10


def test_a_long_history_leaves_room_for_what_is_new(tmp_path: Path, model: str) -> None:
    lake = Lake(str(tmp_path))
    curate(lake, [talk(f"u{number}") for number in range(100)])
    first = run(lake, model, max_rows=30)
    assert first.snapshot is not None
    register(lake, Model("sft-1", "lm", "sft", model, "hash", parent="base", mixture=first.snapshot.batch), batch=BATCH)
    new = [f"v{number}" for number in range(10)]
    curate(lake, [talk(name) for name in new], "0002-bbbbbbbb")
    second = rows_of(lake, run(lake, model, batch="0002-bbbbbbbb", max_rows=40))
    assert second.height == 40
    history = set(second["id"]) - set(new)
    assert len(history) == 30
    assert len(history & set(rows_of(lake, first)["id"])) < 20  # every night reads another part of it


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
