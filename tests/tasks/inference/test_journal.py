"""The journal: nothing that was answered is asked for again, not even after a kill."""

import signal
from multiprocessing import get_context
from pathlib import Path

import pytest

from tasks.inference.client import Budget, Client
from tasks.inference.endpoint import connect
from tasks.inference.engine import Failure, Request, Sampling
from tasks.inference.journal import open_journal
from tasks.lm.generate import Completion
from tests.tasks.inference.killed_halfway import REQUESTS, SAMPLING, killed_halfway
from tests.tasks.inference.scripted_api import scripted_api


def test_a_killed_run_sends_only_the_rest_when_it_is_resumed(tmp_path: Path):
    with scripted_api(lambda body, _: "to " + body["messages"][0]["content"]) as api:
        assert killed_halfway(api.url, tmp_path) == -signal.SIGKILL
        before = len(api.asked)
        with open_journal(tmp_path) as journal:
            client = Client(connect([api.url], model=None, key=None), journal)
            outcomes = client.ask(REQUESTS, SAMPLING, "test")
        assert [outcome.text for outcome in outcomes] == [f"to question {number}" for number in range(40)]
        assert client.usage.reused == 20
        assert before in {20, 21}  # one may have been on its way
        assert len(api.asked) - before == 20


def test_what_a_request_depends_on_is_what_tells_it_apart(tmp_path: Path):
    with scripted_api(lambda body, _: "fine") as api, open_journal(tmp_path) as journal:
        engine = connect([api.url], model=None, key=None)
        client = Client(engine, journal)
        one = REQUESTS[0]
        client.ask([one, one], SAMPLING, "test")
        assert len(api.asked) == 1
        client.ask([one, Request(({**one.messages[0], "name": None},), one.seed)], SAMPLING, "test")
        assert len(api.asked) == 1
        client.ask([Request(one.messages, seed=99)], SAMPLING, "test")
        client.ask([one], Sampling(17, 0.5, 0.9), "test")
        assert len(api.asked) == 3


def test_failures_are_not_kept(tmp_path: Path):
    with (
        scripted_api(lambda _, before: (400, b"no") if before == 0 else "yes") as api,
        open_journal(tmp_path) as journal,
    ):
        client = Client(connect([api.url], model=None, key=None), journal)
        assert isinstance(client.ask(REQUESTS[:1], SAMPLING, "test")[0], Failure)
        assert client.ask(REQUESTS[:1], SAMPLING, "test") == [Completion("yes", finished=True, tokens=1)]
        assert (client.usage.sent, client.usage.failed) == (2, 1)


def _write(folder: Path, writer: int) -> None:
    with open_journal(folder) as journal:
        for number in range(200):
            journal.add(f"key {number}", Completion(f"by {writer}", finished=True, tokens=1))


def test_two_writers_at_once(tmp_path: Path):
    writers = [get_context("spawn").Process(target=_write, args=(tmp_path, writer)) for writer in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    with open_journal(tmp_path) as journal:
        assert len(journal.find([f"key {number}" for number in range(1000)])) == 200


def test_a_spent_budget_ends_cleanly_and_a_larger_one_goes_on(tmp_path: Path):
    with scripted_api(lambda *_: "four words are here") as api, open_journal(tmp_path) as journal:
        engine = connect([api.url], model=None, key=None, in_flight=1)
        client = Client(engine, journal, Budget(requests=10))
        outcomes = client.ask(REQUESTS, SAMPLING, "test")
        assert len(api.asked) == client.usage.sent == 10
        assert client.usage.unsent == 30
        assert sum(isinstance(outcome, Failure) for outcome in outcomes) == 30
        client = Client(engine, journal, Budget(tokens=40))
        client.ask(REQUESTS, SAMPLING, "test")
        assert client.usage.reused == 10
        assert 40 <= client.usage.tokens <= 40 + 4 * 4
        assert len(api.asked) == 10 + client.usage.sent


def test_money_is_counted_from_what_the_server_says_and_ends_the_step(tmp_path: Path):
    body = (
        b'{"choices": [{"message": {"content": "yes"}, "finish_reason": "stop"}], '
        b'"usage": {"prompt_tokens": 1000, "completion_tokens": 100}}'
    )
    budget = Budget(money=0.02, price_read=2.0, price_written=10.0)  # so a request costs 0.003
    with scripted_api(lambda *_: (200, body)) as api, open_journal(tmp_path) as journal:
        client = Client(connect([api.url], model=None, key=None, in_flight=1), journal, budget)
        client.ask(REQUESTS, SAMPLING, "test")
        assert client.usage.money == pytest.approx(0.003 * client.usage.sent)
        assert 7 <= client.usage.sent <= 9  # the seventh spends it; the next ones were on their way
        assert len(api.asked) == client.usage.sent
