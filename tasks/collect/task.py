"""The door of step 1: takes in what is new."""

from prefect import task

from configs.settings import CollectSettings
from storage.lake import Lake
from storage.snapshot import Snapshot
from tasks.collect.run import collect_new


@task(name="collect", persist_result=False)
def collect(lake: Lake, settings: CollectSettings) -> Snapshot | None:
    """Take in what the sources have and the lake has not, each record once.

    First finishes batches that a killed run planned, then plans new ones until nothing is left.

    Args:
        lake: where it goes: sources, quarantine, feedback, interactions.
        settings: the sources.

    Returns:
        The newest batch that this call published; None when nothing was new.

    Raises:
        SourceError: a source's path does not exist, or a planned batch is of a source that the settings lack.
    """
    return collect_new(lake, settings)
