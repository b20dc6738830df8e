"""Shards of synthesis: together they do the whole, and no two of them the same."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from configs.synthesis import SynthesizeSettings
from tasks.synthesize.shards import share_randomness, share_seeds, share_settings
from tasks.synthesize.task import synthesize
from tests.tasks.inference.scripted_api import scripted_api
from tests.tasks.synthesize.lakes import curate, curated_row, settings, writer, writing
from tests.tasks.synthesize.scripted import SEEDS


@given(shards=st.integers(1, 9), wanted=st.integers(0, 50), tokens=st.none() | st.integers(0, 10_000))
def test_shares_add_up_and_differ_by_one_at_most(shards, wanted, tokens):
    whole = SynthesizeSettings(shards=shards, instructions=wanted, budget_tokens=tokens)
    shares = [share_settings(whole, ["instructions"], shard) for shard in range(shards)]
    counts = [one.instructions for one in shares]
    assert (sum(counts), max(counts) - min(counts) <= 1) == (wanted, True)
    spent = [one.budget_tokens for one in shares]
    assert spent == [None] * shards if tokens is None else sum(spent) == tokens


@given(shards=st.integers(1, 9))
def test_every_seed_is_in_one_share(shards):
    shares = [share_seeds(SEEDS, shard, shards) for shard in range(shards)]
    for kind in ("conversations", "documents"):
        found = Counter(seed.id for share in shares for seed in getattr(share, kind))
        assert found == Counter(seed.id for seed in getattr(SEEDS, kind))
    assert len({share_randomness(17, shard) for shard in range(shards)}) == shards


def test_two_shards_write_what_was_asked_of_both_and_nothing_twice(lake):
    curated = curate(lake, [curated_row(number) for number in range(40)])
    with scripted_api(writer) as api:
        asked = settings(api.url, shards=2)
        made = [synthesize.fn(lake, "0001-abc", writing(), [curated], asked, 17, shard) for shard in range(2)]
    assert [one.batch for one in made] == ["0001-abc-synthetic", "0001-abc-synthetic-2"]
    first, second = (lake.scan(one).collect() for one in made)
    books = lake.read("books", step="synthesize").filter(kind="in").collect()
    assert books["value"].sum() == 12  # as many as one run would try for
    assert min(first.height, second.height) > 2
    assert not set(first["id"]) & set(second["id"])
    assert not set(first["seed_ids"].explode()) & set(second["seed_ids"].explode())
