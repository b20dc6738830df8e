"""What the commands share: where they print, what they are asked, and what they need before they work."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from configs.load import load, override, parse
from configs.settings import Settings
from storage.lake import Lake, LakeError

console = Console(width=None if sys.stdout.isatty() else 120)

ConfigArgument = Annotated[Path, typer.Argument(help="Config file, such as configs/quickstart.yaml.")]
BatchOption = Annotated[str | None, typer.Option(help="Which batch; the newest one if not given.")]
LakeArgument = Annotated[str, typer.Argument(help="Folder or URI of the lake.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="Override a setting: --set train.sft.max_steps=50. Repeatable.")
]


def settings_of(config: Path | None, overrides: list[str] | None) -> Settings:
    """The settings of a config file, or the defaults, with what `--set` overrides."""
    return load(config, overrides or []) if config else parse(override({}, overrides or []), "--set")


def existing(uri: str) -> Lake:
    """The lake there.

    Raises:
        LakeError: there is none.
    """
    lake = Lake(uri)
    if not lake.status():
        raise LakeError(f"There is no lake at {uri}: `make quickstart` or `flywheel run CONFIG` makes one.")
    return lake


def prepare_prefect(*, verbose: bool) -> None:
    """Settings that Prefect reads when it is imported: our lines on the terminal, and patience on slow machines."""
    defaults = {
        "PREFECT_LOGGING_LEVEL": "INFO" if verbose else "WARNING",
        "PREFECT_LOGGING_EXTRA_LOGGERS": "flows,tasks,storage",
        "PREFECT_LOGGING_FORMATTERS_STANDARD_FORMAT": "%(asctime)s  %(message)s",
        "PREFECT_LOGGING_FORMATTERS_STANDARD_FLOW_RUN_FMT": "%(asctime)s  %(message)s",
        "PREFECT_LOGGING_FORMATTERS_STANDARD_TASK_RUN_FMT": "%(asctime)s  %(message)s",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
