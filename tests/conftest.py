"""Shared by all tests: nothing reaches the network, Prefect keeps to a temporary folder, real data is optional."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("any machine", deadline=None)  # a busy one pauses anywhere
settings.load_profile("any machine")
os.environ.update(
    HF_HUB_OFFLINE="1",
    HF_HUB_DISABLE_TELEMETRY="1",
    TOKENIZERS_PARALLELISM="false",
    PREFECT_HOME=tempfile.mkdtemp(prefix="flywheel-prefect-"),
    PREFECT_SERVER_ANALYTICS_ENABLED="false",
    PREFECT_LOGGING_EXTRA_LOGGERS="flows,tasks,storage",
    PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW="ignore",
    PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS="180",
)
if workers := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):  # they share the cores
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // int(workers))))

SHARED = Path(__file__).resolve().parent.parent.parent / "shared" / "data"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first: two workers then end together, and none runs the last long one alone."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data beside the checkout; tests that want it are skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the real data sets in {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[str]:
    """The address of a real Prefect server that lasts as long as the tests."""
    from prefect.settings import PREFECT_API_URL
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=180):
        yield str(PREFECT_API_URL.value())


@pytest.fixture(scope="session")
def bucket() -> Iterator[str]:
    """The URI of a bucket of an S3 server on the loopback."""
    from tests.s3 import BUCKET, environment, s3_server

    with s3_server() as address, pytest.MonkeyPatch.context() as patch:
        for name, value in environment(address).items():
            patch.setitem(os.environ, name, value)
        yield f"s3://{BUCKET}"
