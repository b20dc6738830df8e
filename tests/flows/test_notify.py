"""Runs tell a webhook how they ended; that nobody listens, or listens badly, stops nothing and gives nothing away."""

import json
import logging
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from prefect import flow

from configs.mistake import Mistake
from flows.notify import VARIABLE, notify, notify_end


@pytest.fixture
def posted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What a webhook of the environment was told."""
    texts: list[str] = []

    class Webhook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            texts.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"])
            self.send_response(204)
            self.end_headers()

    with HTTPServer(("127.0.0.1", 0), Webhook) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv(VARIABLE, f"http://127.0.0.1:{server.server_port}/secret-part")
        yield texts
        server.shutdown()


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
