"""What belongs together stays together, and nothing that has a side ever moves."""

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.settings import SplitSettings
from tasks.split.groups import assign, side

SETTINGS = SplitSettings(holdout_share=0.4, validation_share=0.2)
NOTHING = pl.DataFrame(schema={"link": pl.String, "group": pl.String, "split": pl.String})


def rows(*links: list[str], synthetic: bool = False) -> pl.DataFrame:
    """New rows named by their first link."""
    schema = {"id": pl.String, "synthetic": pl.Boolean, "links": pl.List(pl.String)}
    return pl.DataFrame([(own[0], synthetic, own) for own in links], schema=schema, orient="row")


def known(**splits: str) -> pl.DataFrame:
    found = [(link, f"group of {link}", split) for link, split in splits.items()]
    return pl.DataFrame(found, schema=NOTHING.schema, orient="row")


def placed(new: pl.DataFrame, old: pl.DataFrame = NOTHING, seed: int = 1) -> dict[str, str]:
    return dict(assign(new, old, SETTINGS, seed).select("id", "split").iter_rows())


def test_shares_are_as_asked():
    sides = [side(str(number), SETTINGS, 1) for number in range(5000)]
    assert abs(sides.count("holdout") / 5000 - 0.4) < 0.03
    assert abs(sides.count("validation") / 5000 - 0.2) < 0.03
    assert sides != [side(str(number), SETTINGS, 2) for number in range(5000)]


def test_a_chain_of_links_is_one_group():
    chain = rows(*([f"row{at}", f"conversation{at // 2}", f"row{at - 1}"] for at in range(1, 40)))
    out = assign(chain, NOTHING, SETTINGS, 1)
    assert out["group"].n_unique() == 1
    assert out["split"].n_unique() == 1


def test_a_new_row_joins_the_side_that_it_is_linked_to():
    for split in ("train", "validation", "holdout"):
        out = assign(rows(["a", "talk"], ["b", "talk"]), known(talk=split), SETTINGS, 1)
        assert out["split"].to_list() == [split] * 2
        assert out["group"].to_list() == ["group of talk"] * 2


def test_a_row_between_two_sides_is_left_out():
    old = known(talk="holdout", kept="train")
    assert placed(rows(["a", "talk", "kept"], ["b", "kept"], ["c", "talk"]), old) == {
        "a": "bridges_split",
        "b": "train",
        "c": "holdout",
    }


def test_new_rows_that_are_tied_to_a_bridge_are_left_out_with_it():
    old = known(talk="holdout", kept="train")
    out = placed(rows(["a", "new", "talk"], ["b", "new", "kept"], ["c", "new"], ["d"]), old)
    assert [out[name] for name in "abc"] == ["bridges_split"] * 3
    assert out["d"] != "bridges_split"


def test_synthetic_rows_are_for_training():
    new = rows(*([str(number)] for number in range(50)), synthetic=True)
    assert set(placed(new).values()) == {"train"}
    assert placed(rows(["a", "sealed"], synthetic=True), known(sealed="holdout")) == {"a": "bridges_split"}


def test_no_rows():
    assert assign(rows(), NOTHING, SETTINGS, 1).height == 0


LINKS = st.lists(st.lists(st.integers(0, 30), max_size=3), min_size=1, max_size=25)


@settings(deadline=None, max_examples=60)
@given(LINKS, st.integers(0, 5))
def test_linked_rows_never_part(links, seed):
    new = rows(*([f"row{at}", *(f"link{link}" for link in some)] for at, some in enumerate(links)))
    out = assign(new, NOTHING, SETTINGS, seed)
    by_link = new.explode("links").join(out, on="id").group_by("links").agg(pl.col("split", "group").n_unique())
    assert by_link["split"].max() == 1
    assert by_link["group"].max() == 1
    shuffled = assign(new.sample(fraction=1, shuffle=True, seed=seed), NOTHING, SETTINGS, seed)
    assert shuffled.sort("id").equals(out.sort("id"))
