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

# For each table a child that kills itself the moment it is about to publish it, one after the other on one lake. They
# are forks of a process that has imported everything and done nothing yet.
CHILDREN = """
import os, signal, sys
from pathlib import Path
import storage.publish as publishing
dies_at, original = None, publishing.publish
def publish(lake, name, *args, **options):
    if name == dies_at:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(lake, name, *args, **options)
from configs.settings import Settings
from flows.nightly import flywheel
for name, module in list(sys.modules.items()):
    if name.startswith(("tasks.", "storage.", "flows.")) and getattr(module, "publish", None) is original:
        module.publish = publish
settings = Settings.model_validate_json(Path(sys.argv[1]).read_text())
for dies_at in sys.argv[2:]:
    child = os.fork()
    if not child:
        flywheel(settings)
        os._exit(0)
    print(dies_at, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""

TABLES = [
    "interactions", "signatures", "duplicates", "scrubbed", "splits", "preferences", "curated", "synthetic",
    "mixtures", "models", "evaluations",
]  # fmt: skip
COMPARED = ["interactions", "duplicates", "scrubbed", "splits", "curated", "preferences", "synthetic"]


def run_and_die(settings: Settings, folder: Path, server: str) -> dict[str, int]:
    """The status with which the run that should die at each table ended."""
    file = folder / "settings.json"
    file.write_text(settings.model_dump_json())
    done = subprocess.run(
        [sys.executable, "-c", CHILDREN, str(file), *TABLES],
        env={**os.environ, "PREFECT_API_URL": server},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    told = [line.split() for line in done.stdout.splitlines()]
    return {line[0]: int(line[1]) for line in told if len(line) == 2 and line[0] in TABLES}


def ids(lake: Lake, table: str) -> list[str]:
    return sorted(lake.read(table).select("id").collect()["id"])


@pytest.mark.timeout(1200)
def test_killed_at_every_step_it_ends_as_if_undisturbed(tmp_path: Path, tiny_model: Path, prefect_server: str) -> None:
    disturbed = small_settings(tmp_path, tiny_model, "disturbed")
    assert run_and_die(disturbed, tmp_path, prefect_server) == dict.fromkeys(TABLES, -signal.SIGKILL)
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
