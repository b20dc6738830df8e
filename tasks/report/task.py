"""The report step: a batch's figures as one HTML file."""

import logging

from prefect import task

from storage.lake import Lake
from tasks.report.page import write

log = logging.getLogger(__name__)


@task(name="report", persist_result=False)
def report(lake: Lake, batch: str) -> str:
    """Write the report of a batch, over an earlier one, and return its path.

    Args:
        lake: where the tables are; the report lies in its folder reports.
        batch: what it is about.
    """
    path = write(lake, batch)
    log.info("report: %s", path)
    return str(path)
