"""Splitting on a lake: conversations and duplicates across batches."""

import polars as pl

from configs.settings import SplitSettings
from storage.lake import Lake
from storage.snapshot import Snapshot
from tasks.split.task import split
from tests.rows import write

SETTINGS = SplitSettings(holdout_share=0.3, validation_share=0.1)


def collected(
    lake: Lake, batch: str, conversations: dict[str, str], repeats: dict[str, str], origin="user"
) -> Snapshot:
    """`conversations` of ids, and `repeats`: which id repeats which; those are not scrubbed. Then split."""
    table = "interactions" if origin == "user" else "synthetic"
    rows = [{"id": id, "conversation_id": conversation} for id, conversation in conversations.items()]
    write(lake, table, batch, rows)
    kept = [{**row, "origin": origin} for row in rows if row["id"] not in repeats]
    scrubbed = write(
        lake, "scrubbed", batch, [*kept, {"id": f"f{batch}", "conversation_id": "x", "origin": "feedback"}]
    )
    found = [{"id": id, "kept_id": kept_id, "reason": "near", "similarity": 0.9} for id, kept_id in repeats.items()]
    duplicates = write(lake, "duplicates", batch, found, step="dedupe")
    return split.fn(lake, scrubbed, [duplicates], SETTINGS, 5)


def sides(lake: Lake) -> dict[str, str]:
    return dict(lake.read("splits").select("id", "split").collect().iter_rows())


def test_a_nights_rows_follow_what_is_known_and_nothing_moves(tmp_path):
    lake = Lake(str(tmp_path / "lake"))
    many = {f"a{at:03}": f"talk{at // 2}" for at in range(200)}
    collected(lake, "0001-a", many, {"a001": "a100", "a007": "a150"})
    first = sides(lake)
    assert set(first) == set(many), "feedback has no side, duplicates have one"
    assert first["a001"] == first["a000"] == first["a100"]
    assert set(first.values()) == {"train", "validation", "holdout"}
    assert all(first[f"a{at:03}"] == first[f"a{at + 1:03}"] for at in range(0, 200, 2))

    later = {f"b{at:03}": f"talk{at}" for at in range(100)}
    collected(lake, "0002-b", later, {})
    second = sides(lake)
    assert {id: second[id] for id in first} == first
    assert all(second[f"b{at:03}"] == first[f"a{2 * at:03}"] for at in range(100))


def test_a_conversation_goes_on_where_only_its_duplicate_was(tmp_path):
    """The first turn was a duplicate and never curated; the next one must be on that side all the same."""
    lake = Lake(str(tmp_path / "lake"))
    collected(
        lake, "0001-a", {f"a{at}": f"talk{at}" for at in range(40)}, {f"a{at}": f"a{at - 1}" for at in range(1, 40, 2)}
    )
    collected(lake, "0002-b", {f"b{at}": f"talk{at}" for at in range(1, 40, 2)}, {})
    found = sides(lake)
    assert all(found[f"b{at}"] == found[f"a{at - 1}"] for at in range(1, 40, 2))


def test_a_bridge_is_left_out_and_counted(tmp_path):
    lake = Lake(str(tmp_path / "lake"))
    collected(lake, "0001-a", {f"a{at}": f"talk{at}" for at in range(60)}, {})
    first = sides(lake)
    train = next(at for at in range(60) if first[f"a{at}"] == "train")
    sealed = next(at for at in range(60) if first[f"a{at}"] == "holdout")
    collected(lake, "0002-b", {"b": f"talk{train}"}, {"b": f"a{sealed}"})
    assert sides(lake)["b"] == "bridges_split"
    books = lake.read("books", batch="0002-b").filter(pl.col("name") == "bridges_split").collect()
    assert books["value"].to_list() == [1.0]


def test_new_settings_move_nothing(tmp_path):
    lake = Lake(str(tmp_path / "lake"))
    collected(lake, "0001-a", {f"a{at}": f"talk{at}" for at in range(40)}, {})
    first = sides(lake)
    scrubbed = Snapshot(table="scrubbed", step="test", batch="0001-a", version=0, fingerprint="x")
    split.fn(lake, scrubbed, [], SplitSettings(holdout_share=0.9), 99)
    assert sides(lake) == first


def test_synthetic_rows_are_for_training(tmp_path):
    lake = Lake(str(tmp_path / "lake"))
    collected(lake, "0001-a-synthetic", {f"s{at}": f"s{at}" for at in range(30)}, {"s1": "s0"}, origin="synthetic")
    assert set(sides(lake).values()) == {"train"}
