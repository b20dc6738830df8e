"""The report step: a batch's figures as one HTML file."""

import logging

from prefect import task

from storage.lake import Lake
from tasks.report.page import render

log = logging.getLogger(__name__)


@task(name="report", persist_result=False)
def report(lake: Lake, batch: str) -> str:
    """Write the report of a batch, over an earlier one, and return its path.

    Args:
        lake: where the tables are; the report lies in its folder reports.
        batch: what it is about.
    """
    path = lake.folder("reports") / f"{batch}.html"
    whole = path.with_suffix(".part")
    whole.write_text(render(lake, batch), encoding="utf-8")
    whole.replace(path)  # who looks at the old one while this is written sees a whole page
    lake.save("reports", path.name)
    log.info("report: %s", path)
    return str(path)
