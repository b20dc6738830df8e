"""Runs tell a webhook how they ended; that nobody listens, or listens badly, stops nothing and gives nothing away."""

import logging
from collections.abc import Iterator

import pytest
from prefect import flow

from configs.mistake import Mistake
from flows.notify import VARIABLE, notify, notify_end
from tests.flows.webhook import webhook


@pytest.fixture
def posted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What a webhook of the environment was told."""
    with webhook() as (address, texts):
        monkeypatch.setenv(VARIABLE, address)
        yield texts


def test_without_an_address_nothing_is_posted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert not notify("anything")


def test_a_webhook_that_is_away_is_not_named_and_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(VARIABLE, "http://127.0.0.1:9/secret-part")
    with caplog.at_level(logging.DEBUG, logger="flows"):
        assert not notify("anything")
    assert "did not take it" in caplog.text
    assert "secret-part" not in caplog.text


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_server")
def test_a_flow_that_fails_says_so_in_our_words_and_never_in_others(posted: list[str]) -> None:
    @flow(name="wheel", on_failure=[notify_end])
    def wheel(error: type[Exception]) -> None:
        raise error("the model is missing")

    wheel(Mistake, return_state=True)
    wheel(ValueError, return_state=True)
    assert [text.split(" (")[0] for text in posted] == ["Flywheel: wheel failed"] * 2
    assert posted[0].endswith("): the model is missing")
    assert "the model is missing" not in posted[1]
