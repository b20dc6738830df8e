"""Shares of trained tokens, whatever there is of each source."""

from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from configs.mixing import RECIPE, MixSettings, MixSource
from storage.snapshot import digest
from tasks.mix.share import take, total_tokens

LENGTHS = st.lists(st.integers(1, 50), max_size=60)


def source(name: str, **settings: Any) -> MixSource:
    return MixSource(name=name, table="curated", **settings)


def rows(parts: dict[str, list[int]], seed: int = 0) -> pl.DataFrame:
    flat = [(f"{part}{at}", part, tokens) for part, lengths in parts.items() for at, tokens in enumerate(lengths)]
    frame = pl.DataFrame(flat, schema={"id": pl.String, "part": pl.String, "trained_tokens": pl.Int64}, orient="row")
    order = pl.Series("order", [digest(str(seed), name) for name in frame["id"]], dtype=pl.String)
    return frame.with_columns(order).sort("order")


REPLAY = [source("general", weight=0.1, max_repeats=3), source("made", max_weight=0.3), source("user")]


@settings(deadline=None, max_examples=60)
@given(LENGTHS, LENGTHS, LENGTHS, st.integers(1, 150))
def test_no_source_exceeds_its_share_and_all_fit(
    user: list[int], made: list[int], general: list[int], most: int
) -> None:
    given_rows = rows({"user": user, "made": made, "general": general})
    mixed, parts = take(given_rows, REPLAY, most)
    total = sum(part.trained_tokens for part in parts.values())
    assert mixed.height == sum(part.rows for part in parts.values()) <= most
    for name, weight in (("general", 0.1), ("made", 0.3)):
        assert parts[name].trained_tokens <= weight * total + 0.5
    assert mixed.group_by("id").len()["len"].max() in {None, 1, 2, 3}
    assert mixed.filter(pl.col("part") != "general")["id"].is_unique().all()
    if not parts["general"].short:  # then what is missing is less than its next row
        assert parts["general"].wanted_tokens - parts["general"].trained_tokens <= 56
    if not user:
        assert not mixed.height


@settings(deadline=None, max_examples=40)
@given(st.integers(40, 200), st.integers(1, 20), st.integers(20, 40))
def test_a_source_that_grows_changes_a_sample_by_no_more_than_it_grew(before: int, new: int, most: int) -> None:
    sources = [source("general", weight=0.2), source("user")]
    small = rows({"user": [10] * before, "general": [10] * 100})
    grown = rows({"user": [10] * (before + new), "general": [10] * 100})
    first, second = (set(take(frame, sources, most)[0]["id"]) for frame in (small, grown))
    fresh = {f"user{at}" for at in range(before, before + new)}
    assert len(first) == len(second)
    assert len(first - second) == len(second & fresh)
    assert second - first <= fresh


def test_a_source_that_is_short_lowers_what_the_others_get() -> None:
    assert total_tokens(60, [(0.3, 1000), (0.1, 1000)]) == pytest.approx(100)
    assert total_tokens(60, [(0.3, 1000), (0.1, 0)]) == pytest.approx(60 / 0.7)
    assert total_tokens(0, [(0.3, 0), (0.1, 5)]) == 0


def test_rows_are_repeated_as_often_as_allowed_and_the_rest_is_missing() -> None:
    frame = rows({"user": [10] * 90, "general": [10] * 2})
    sources = [source("general", weight=0.1), source("user")]
    _, once = take(frame, sources, 1000)
    assert (once["general"].rows, once["general"].repeated, once["general"].short) == (2, 0, True)
    assert once["general"].wanted_tokens - once["general"].trained_tokens == 80
    often = sources[0].model_copy(update={"max_repeats": 4})
    mixed, parts = take(frame, [often, sources[1]], 1000)
    assert (parts["general"].rows, parts["general"].repeated, parts["general"].short) == (8, 6, True)
    assert set(mixed.filter(pl.col("part") == "general").group_by("id").len()["len"]) == {4}
    enough = sources[0].model_copy(update={"max_repeats": 99})
    mixed, parts = take(frame, [enough, sources[1]], 1000)
    assert (parts["general"].rows, parts["general"].short) == (10, False)
    assert set(mixed.filter(pl.col("part") == "general").group_by("id").len()["len"]) == {5}


def test_where_every_source_has_a_weight_the_heaviest_leads() -> None:
    sources = [source("docs", weight=0.3), source("user", weight=0.7)]
    _, parts = take(rows({"user": [10] * 70, "docs": [10] * 500}), sources, 1000)
    assert (parts["user"].rows, parts["docs"].rows) == (70, 30)
    relative = [source("docs", weight=0.15), source("user", weight=0.35)]  # of a stage that does not read the third
    assert take(rows({"user": [10] * 70, "docs": [10] * 500}), relative, 1000)[1] == parts


def test_a_max_weight_is_a_share_of_all_also_where_every_source_has_a_weight() -> None:
    sources = [source("user", weight=0.3), source("docs", weight=0.3), source("made", max_weight=0.2)]
    _, parts = take(rows({"user": [10] * 40, "docs": [10] * 500, "made": [10] * 500}), sources, 1000)
    assert {name: part.rows for name, part in parts.items()} == {"user": 40, "docs": 40, "made": 20}


def test_what_is_replayed_never_leads() -> None:
    sources = [source("general", weight=0.6, replay=True), source("user", weight=0.2)]
    _, parts = take(rows({"user": [10] * 10, "general": [10] * 500}), sources, 1000)
    assert {name: part.rows for name, part in parts.items()} == {"user": 10, "general": 30}


@pytest.mark.parametrize(
    ("sources", "words"),
    [
        ([source("a", weight=0.6), source("b", max_weight=0.4), source("c")], "add up to 1, and leave c nothing"),
        ([source("a", weight=0.9), source("b", max_weight=0.6), source("c", max_weight=0.5)], "leave a nothing"),
        ([source("a", max_weight=0.6)], "needs a source without max_weight"),
        ([source("a", weight=0.6, replay=True)], "or replay"),
        ([source("a"), source("a")], "two sources are named a"),
    ],
)
def test_weights_that_cannot_hold_are_refused(sources: list[MixSource], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        MixSettings(sources=tuple(sources))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "needs a table or a path"),
        ({"table": "curated", "path": "x.jsonl"}, "and not both"),
        ({"table": "curated", "max_repeats": 2}, "give it a weight"),
        ({"table": "curated", "replay": True}, "give it a weight or a max_weight"),
        ({"path": "x.jsonl", "select": {"domains": ["general"]}}, "selects by what its rows do not have"),
        ({"table": "curated", "format": "alpaca"}, "format is for files"),
        ({"table": "preferences", "stages": ["sft"]}, "the stage sft cannot read the table preferences"),
    ],
)
def test_a_source_that_makes_no_sense_is_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        MixSource(name="odd", **settings)


def test_by_default_a_tenth_is_general_and_every_stage_has_what_it_reads() -> None:
    names = {stage: [one.name for one in MixSettings().recipe(stage)] for stage in ("cpt", "sft", "dpo", "kto")}
    assert names["sft"] == names["cpt"] == ["general", "synthetic", "user"]
    assert names["dpo"] == names["kto"] == ["preferences"]
    assert RECIPE[0].weight == 0.1
