"""What runs, in which order: the Prefect flows and the `flywheel` command."""
