"""The doors of synthesis: new conversations from curated ones, and preference pairs from a model's own answers."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

import polars as pl
from prefect import task

from configs.settings import SynthesizeSettings
from storage.lake import Lake
from storage.publish import Books, StepOutput, run_step
from storage.registry import Model
from storage.snapshot import Snapshot
from tasks.inference.client import Client, open_client
from tasks.lm.reward import newest_reward_head
from tasks.synthesize.best_of_n import pair_rows, sample_answers
from tasks.synthesize.method import sampling
from tasks.synthesize.methods import METHODS
from tasks.synthesize.rows import Origin, empty, read_seeds, sample_ids, synthetic_rows, train_conversations

log = logging.getLogger(__name__)


@task(name="synthesize", persist_result=False)
def synthesize(
    lake: Lake, batch: str, model: str, curated: Sequence[Snapshot], settings: SynthesizeSettings, seed: int
) -> Snapshot:
    """Write new conversations after those that were curated. What is generated but not kept lies in the quarantine.

    Args:
        lake: where everything lies.
        batch: of the run; the rows get a batch of their own, named after it.
        model: folder or name of the model that writes, unless an endpoint does.
        curated: the conversations to start from; only users' ones on the training side are.
        settings: how many, and by which engine.
        seed: all randomness follows from it.
    """
    target = f"{batch}-synthetic"

    def work() -> StepOutput:
        with open_client(lake, settings, model) as client:
            return make_rows(lake, curated, target, settings, client, seed)

    return run_step(
        lake,
        step="synthesize",
        batch=target,
        table="synthetic",
        settings=[settings],
        inputs=curated,
        work=work,
        extra=[model, str(seed)],
    )


@task(name="synthesize pairs", persist_result=False)
def synthesize_pairs(lake: Lake, batch: str, model: Model, settings: SynthesizeSettings, seed: int) -> Snapshot:
    """Sample answers to the batch's prompts from the model that DPO will start from; keep a better and a worse one.

    Args:
        lake: where everything lies.
        batch: whose curated prompts are answered.
        model: who answers; endpoints, which serve another model, are passed over.
        settings: how many prompts and samples.
        seed: all randomness follows from it.
    """
    judge = newest_reward_head(lake)

    def work() -> StepOutput:
        prompts = train_conversations(lake.read("curated", batch=batch, step="score"))
        ids = sample_ids(prompts.select("id").collect()["id"], settings.pairs, seed)
        if judge is None:
            log.info("synthesize: no pairs: there is no reward head that could tell answers apart")
            return StepOutput(empty("preferences"), Books(len(ids), {"no_reward_head": len(ids)}))
        chosen = prompts.filter(pl.col("id").is_in(ids)).select("id", "messages").sort("id").collect()
        with open_client(lake, settings, model.path, on_policy=True) as client:
            candidates, unsound = sample_answers(chosen, settings, client, seed)
            facts = {**asdict(client.usage), **_prefixed("answers_", unsound)}
        rows, counts = pair_rows(candidates, model, *judge)
        return StepOutput(rows, Books(len(ids), counts, facts))

    return run_step(
        lake,
        step="synthesize_pairs",
        batch=batch,
        table="preferences",
        settings=[settings],
        inputs=[],
        work=work,
        extra=[model.id, judge[0].id if judge else "", str(seed)],
    )


def make_rows(
    lake: Lake, curated: Sequence[Snapshot], batch: str, settings: SynthesizeSettings, client: Client, seed: int
) -> StepOutput:
    """The rows that all methods make, for `batch`; what they are made with is opened when it is first asked."""
    seeds = read_seeds(lake, curated, seed)
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
    facts = {"seeds": len(seeds.conversations), "documents": len(seeds.documents), **asdict(client.usage)}
    rows = pl.concat([empty("synthetic"), *(one.rows for one in made)])
    quarantine = pl.concat([empty("quarantine"), *(one.quarantine for one in made)])
    return StepOutput(rows, Books(counts.total(), counts, facts), {"quarantine": quarantine})


def _prefixed(prefix: str, counts: Counter[str]) -> dict[str, int]:
    return {f"{prefix}{name}": count for name, count in counts.items()}
