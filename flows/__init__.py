"""What runs, in which order: the Prefect flows and the `flywheel` command."""

import logging

# Steps speak through plain logging; at INFO their lines reach the terminal and, with
# PREFECT_LOGGING_EXTRA_LOGGERS=flows,tasks,storage, the run's page in the UI.
for package in ("flows", "tasks", "storage"):
    logging.getLogger(package).setLevel(logging.INFO)
