"""kill -9 at every step: the next run carries on, and nothing is lost or doubled."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from configs.settings import Settings
from flows.nightly import flywheel
from storage.lake import Lake
from tests.flows.small import small_settings

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]

# A child that kills itself the moment it is about to publish a table, then one for the next table, on one lake.
CHILD = """
import os, signal, sys
from pathlib import Path
import storage.publish as publishing
table, settings_file = sys.argv[1:]
original = publishing.publish
def publish(lake, name, *args, **options):
    if name == table:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(lake, name, *args, **options)
publishing.publish = publish
import sys as system
for module in list(system.modules.values()):
    if getattr(module, "publish", None) is original:
        module.publish = publish
from configs.settings import Settings
from flows.nightly import flywheel
for name, module in list(system.modules.items()):
    if name.startswith(("tasks.", "storage.", "flows.")) and getattr(module, "publish", None) is original:
        module.publish = publish
flywheel(Settings.model_validate_json(Path(settings_file).read_text()))
"""

TABLES = [
    "interactions", "signatures", "duplicates", "scrubbed", "splits", "preferences", "curated", "synthetic",
    "mixtures", "models", "evaluations",
]  # fmt: skip
COMPARED = ["interactions", "duplicates", "scrubbed", "splits", "curated", "preferences", "synthetic"]


def run_and_die(settings: Settings, table: str, folder: Path, server: str) -> int:
    file = folder / "settings.json"
    file.write_text(settings.model_dump_json())
    done = subprocess.run(
        [sys.executable, "-c", CHILD, table, str(file)],
        env={**os.environ, "PREFECT_API_URL": server},
        capture_output=True,
        check=False,
    )
    return done.returncode


def ids(lake: Lake, table: str) -> list[str]:
    return sorted(lake.read(table).select("id").collect()["id"])


def test_killed_at_every_step_it_ends_as_if_undisturbed(tmp_path: Path, tiny_model: Path, prefect_server: str) -> None:
    disturbed = small_settings(tmp_path, tiny_model, "disturbed")
    for table in TABLES:
        assert run_and_die(disturbed, table, tmp_path, prefect_server) == -signal.SIGKILL, table
    result = flywheel(disturbed)
    undisturbed = small_settings(tmp_path, tiny_model, "undisturbed")
    expected = flywheel(undisturbed)
    one, two = Lake(disturbed.lake), Lake(undisturbed.lake)
    assert result.batch == expected.batch
    for table in COMPARED:
        assert ids(one, table) == ids(two, table), table
    mixed = [set(lake.read("mixtures").filter(pl.col("stage") != "dpo").collect()["id"]) for lake in (one, two)]
    assert mixed[0] == mixed[1]
    assert one.read("runs", step="finish").collect().height == 1
