"""What runs, in which order: the Prefect flows and the `flywheel` command."""

import logging
import os

for name, value in {  # nothing is sent anywhere that nobody configured; read when Prefect and the hub are imported
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
}.items():
    os.environ.setdefault(name, value)

# Steps speak through plain logging; at INFO their lines reach the terminal and, with
# PREFECT_LOGGING_EXTRA_LOGGERS=flows,tasks,storage, the run's page in the UI.
for package in ("flows", "tasks", "storage"):
    logging.getLogger(package).setLevel(logging.INFO)
