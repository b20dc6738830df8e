"""Long loops of a flow on its page, once, however many flows call each other."""

import pytest
from prefect import flow, get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

from flows.progress import progress_artifacts
from storage.progress import progress


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_server")
def test_a_flow_that_another_one_calls_shows_nothing_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.progress.SECONDS", 0.0)

    @flow
    def inner() -> None:
        with progress_artifacts():
            list(progress(range(3), 3, "test: once"))

    @flow
    def outer() -> None:
        with progress_artifacts():
            inner()

    outer()
    inner()
    with get_client(sync_client=True) as client:
        shown = client.read_artifacts(
            artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=["progress-test-once"]))
        )
    assert [found.data for found in shown] == [100.0] * 2
