"""A share of the work: several runs make what one would, each from seeds of its own."""

from collections.abc import Iterable
from dataclasses import replace

from configs.synthesis import SynthesizeSettings
from tasks.synthesize.method import Seeds, request_seed

SPENT = ("budget_requests", "budget_tokens")


def share_settings(settings: SynthesizeSettings, wanted: Iterable[str], shard: int) -> SynthesizeSettings:
    """The settings of one shard: its part of what is wanted, and of the budget; all shards together have the whole.

    Args:
        settings: of the whole step.
        wanted: names of the settings that say how many conversations.
        shard: from 0 to `settings.shards` - 1.
    """
    parts = settings.shards
    counts = {name: _part(getattr(settings, name), shard, parts) for name in wanted}
    money = {"budget_money": settings.budget_money / parts} if settings.budget_money else {}
    spent = {name: _part(limit, shard, parts) for name in SPENT if (limit := getattr(settings, name)) is not None}
    return settings.model_copy(update=counts | spent | money)


def share_seeds(seeds: Seeds, shard: int, shards: int) -> Seeds:
    """The seeds that one shard starts from: no two shards have one in common."""
    mine = slice(shard, None, shards)
    return replace(seeds, conversations=seeds.conversations[mine], documents=seeds.documents[mine])


def share_randomness(seed: int, shard: int) -> int:
    """The seed of one shard's random choices: two shards must not dream the same. The first one's is the run's."""
    return request_seed(seed, "shard", shard) if shard else seed


def _part(whole: int, shard: int, shards: int) -> int:
    return whole * (shard + 1) // shards - whole * shard // shards
