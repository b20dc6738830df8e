"""The doors of synthesis: new conversations from curated ones, and preference pairs from a model's own answers."""

import logging
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace

import polars as pl
from prefect import task

from configs.settings import SynthesizeSettings
from storage.lake import Lake
from storage.publish import Books, StepOutput, run_step
from storage.registry import Model
from storage.snapshot import Snapshot, synthetic_batch
from tasks.inference.client import Client, open_client
from tasks.lm.load import resolve
from tasks.lm.reward import Head, newest_reward_head
from tasks.synthesize.candidates import Prompt, sample_answers, scorer
from tasks.synthesize.method import Seeds, sampling
from tasks.synthesize.methods import METHODS
from tasks.synthesize.pairs import Writer, pair_rows
from tasks.synthesize.rows import Origin, empty, read_seeds, sample_ids, synthetic_rows, train_conversations
from tasks.synthesize.shards import share_randomness, share_seeds, share_settings

log = logging.getLogger(__name__)


@task(name="synthesize", persist_result=False)
def synthesize(
    lake: Lake,
    batch: str,
    model: Model,
    curated: Sequence[Snapshot],
    settings: SynthesizeSettings,
    seed: int,
    shard: int = 0,
) -> Snapshot:
    """Write new conversations after those that were curated. What is generated but not kept lies in the quarantine.

    Args:
        lake: where everything lies.
        batch: of the run; the rows get a batch of their own, named after it.
        model: which writes, unless an endpoint does.
        curated: the conversations to start from; only users' ones on the training side are.
        settings: how many, and by which engine.
        seed: all randomness follows from it.
        shard: which share of `settings.shards` to write.
    """
    target = synthetic_batch(batch, shard)
    head = _head(lake, settings) if settings.best_of_n else None

    def work() -> StepOutput:
        mine = share_settings(settings, (wanted for wanted, _ in METHODS.values()), shard)
        seeds = share_seeds(replace(read_seeds(lake, curated, seed), head=head), shard, settings.shards)
        with open_client(lake, mine, model.path) as client:
            return make_rows(seeds, target, mine, client, share_randomness(seed, shard))

    return run_step(
        lake,
        step="synthesize",
        batch=target,
        table="synthetic",
        settings=[settings],
        inputs=curated,
        work=work,
        extra=[model.id, head[0].id if head else "", str(seed), str(shard)],
    )


@task(name="synthesize pairs", persist_result=False)
def synthesize_pairs(
    lake: Lake, batch: str, model: Model, champion: Model, settings: SynthesizeSettings, seed: int
) -> Snapshot:
    """Sample answers to the batch's prompts; keep a better and a worse one.

    Args:
        lake: where everything lies.
        batch: whose curated prompts are answered.
        model: which DPO will start from. It answers itself, unless `pairs_from` says that the engine does.
        champion: who serves. It is the engine's model, which judges, unless the settings name another one.
        settings: how many prompts and samples.
        seed: all randomness follows from it.
    """
    head = _head(lake, settings)

    def work() -> StepOutput:
        prompts = train_conversations(lake.read("curated", batch=batch, step="score"))
        ids = sample_ids(prompts.select("id").collect()["id"], settings.pairs, seed)
        if head is None and settings.judge == "reward":
            log.info("synthesize: no pairs: no reward head was trained yet; synthesize.judge names others")
            return StepOutput(empty("preferences"), Books(len(ids), {"no_reward_head": len(ids)}))
        chosen = prompts.filter(pl.col("id").is_in(ids)).select("id", "messages").sort("id").collect()
        waiting = [(row["id"], tuple(row["messages"][:-1])) for row in chosen.iter_rows(named=True)]
        return _make_pairs(lake, waiting, model, champion, settings, head, seed)

    return run_step(
        lake,
        step="synthesize_pairs",
        batch=batch,
        table="preferences",
        settings=[settings],
        inputs=[],
        work=work,
        extra=[model.id, champion.id, head[0].id if head else "", str(seed)],
    )


def _head(lake: Lake, settings: SynthesizeSettings) -> Head | None:
    """The reward head that scores answers, if one is to."""
    return newest_reward_head(lake) if settings.judge == "reward" else None


def _make_pairs(
    lake: Lake,
    prompts: Sequence[Prompt],
    model: Model,
    champion: Model,
    settings: SynthesizeSettings,
    head: Head | None,
    seed: int,
) -> StepOutput:
    """The pairs of all prompts. A server of ours has ended before the model that scores is loaded."""
    own = settings.pairs_from == "start"
    with ExitStack() as stack:
        client = stack.enter_context(open_client(lake, settings, (model if own else champion).path, on_policy=own))
        candidates, unsound = sample_answers(prompts, settings, client, seed)
        writer = _writer(client, model)
        if own or head is not None:
            stack.close()
        if own and head is None:  # the engine judges; where it wrote the answers, it is open already
            client = stack.enter_context(open_client(lake, settings, champion.path, usage=client.usage))
        scored, unclear = scorer(settings.judge, head, client, seed)(candidates)
    rows, counts = pair_rows(scored, writer, settings.max_length_ratio)
    return StepOutput(rows, Books(len(prompts), counts, {**asdict(client.usage), **unsound, **unclear}))


def _writer(client: Client, model: Model) -> Writer:
    own = client.engine.folder == resolve(model.path) and client.engine.model == resolve(model.path).name
    return Writer(model.id if own else client.engine.model, off_policy=not own)


def make_rows(seeds: Seeds, batch: str, settings: SynthesizeSettings, client: Client, seed: int) -> StepOutput:
    """The rows that all methods make, for `batch`; what they are made with is opened when it is first asked."""
    if not seeds.conversations and not seeds.documents:
        log.info("synthesize: nothing to start from: no answered conversation or document to train on")
    made = [
        synthetic_rows(
            list(make(seeds, getattr(settings, wanted), settings, client, seed)),
            Origin(batch, name, client.engine.model, sampling(settings)),
        )
        for name, (wanted, make) in METHODS.items()
        if getattr(settings, wanted)
    ]
    counts = sum((one.counts for one in made), Counter[str]())
    losses = sum((one.losses for one in made), Counter[str]())
    facts = {"seeds": len(seeds.conversations), "documents": len(seeds.documents), **asdict(client.usage), **losses}
    rows = pl.concat([empty("synthetic"), *(one.rows for one in made)])
    quarantine = pl.concat([empty("quarantine"), *(one.quarantine for one in made)])
    return StepOutput(rows, Books(counts.total(), counts, facts), {"quarantine": quarantine})
