"""Maintenance: what a lake needs now and then, as a flow of its own beside the nightly one."""

import logging

from prefect import flow

from configs.settings import Settings
from storage.lake import Lake
from storage.maintain import maintain as work

log = logging.getLogger(__name__)


@flow(name="maintain", flow_run_name="maintain {settings.lake}")
def maintain(settings: Settings) -> dict[str, int]:
    """Merge small files, empty raw text that is past its time, and remove old versions and weights nobody needs.

    Args:
        settings: the flywheel's settings; the section `maintain` is what counts.

    Returns:
        What was done: rows emptied, tables merged, models pruned, and bytes freed.
    """
    done = work(Lake(settings.lake), settings.maintain)
    log.info("maintain: %s", ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in done.items()))
    return done
