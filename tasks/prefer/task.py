"""The door of preferences: scrubbed feedback in, pairs and labels out."""

from prefect import task

from storage.lake import Lake
from storage.publish import Books, StepOutput, run_step
from storage.snapshot import Snapshot
from tasks.prefer.feedback import answers, feedback_of
from tasks.prefer.pairs import preferences


@task(name="prefer", persist_result=False)
def prefer(lake: Lake, scrubbed: Snapshot, splits: Snapshot) -> Snapshot:
    """Turn the feedback that can be understood by now into preferences, over scrubbed text only.

    That is this batch's feedback on answers of any batch, and earlier feedback on answers that came with this one.
    """

    def work() -> StepOutput:
        given = feedback_of(lake, scrubbed)
        made = preferences(given, answers(lake, given))
        counts = {str(reason): int(count) for reason, count in made["reason"].value_counts(sort=True).iter_rows()}
        out = {"preferences": 0, **counts}
        rows = made.filter(made["reason"] == "preferences").drop("reason").sort("id")
        return StepOutput(rows, Books(given.height, out))

    return run_step(
        lake,
        step="prefer",
        batch=scrubbed.batch,
        table="preferences",
        settings=[],
        inputs=[scrubbed, splits],
        work=work,
    )
