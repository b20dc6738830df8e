"""The engine over HTTP: whatever a server does, every request ends as a completion or a recorded failure."""

import asyncio
import random
import socket
import threading
import time

import pytest

from tasks.inference import endpoint
from tasks.inference.endpoint import Endpoint, connect
from tasks.inference.engine import EngineError, Failure, Request, Sampling
from tasks.lm.generate import Completion
from tests.tasks.inference.scripted_api import scripted_api

SAMPLING = Sampling(max_new_tokens=16, temperature=0.5, top_p=0.9)


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch):
    monkeypatch.setattr(endpoint, "FIRST_WAIT", 0.002)


def ask(number: int) -> Request:
    return Request(({"role": "user", "content": f"question {number}"},), seed=number)


def echo(body, before):
    return "answer to " + body["messages"][-1]["content"]


def answers(engine: Endpoint, requests) -> dict[int, Completion | Failure]:
    found = list(engine.generate(requests, SAMPLING))
    assert len(found) == len(dict(found))
    return dict(found)


def test_a_request_says_what_is_asked_and_how_to_sample():
    with scripted_api(echo, key="secret") as api:
        engine = connect([api.url + "/"], model=None, key="secret")
        tool_turn = {"role": "assistant", "content": "x", "name": None, "tool_calls": None}
        request = Request((tool_turn, {"role": "user", "content": "hi"}), seed=7)
        assert answers(engine, [request]) == {0: Completion("answer to hi", finished=True, tokens=3)}
    assert api.asked == [
        {
            "model": "scripted",
            "messages": [{"role": "assistant", "content": "x"}, {"role": "user", "content": "hi"}],
            "max_tokens": 16,
            "temperature": 0.5,
            "top_p": 0.9,
            "seed": 7,
        }
    ]


def test_a_text_is_continued_without_a_template():
    with scripted_api(lambda body, _: body["prompt"][::-1]) as api:
        request = Request(({"role": "document", "content": "abc"},), seed=1)
        found = answers(connect([api.url], model=None, key=None), [request])
    assert found[0].text == "cba"


def test_faults_of_every_kind_end_as_completions_or_failures():
    faults = [
        (429, b"slow down"),
        (500, b"oops"),
        (503, b""),
        (200, b"garbage"),
        (200, b'{"choices": ['),
        (200, b'{"choices": []}'),
        (200, b'{"choices": [null]}'),
        None,
    ]

    def script(body, before):
        number = int(body["messages"][-1]["content"].split()[1])
        if number % 10 == 0:
            return (400, b"too long")
        numbers = random.Random(number * 100 + before)
        return echo(body, before) if numbers.random() < 0.4 else numbers.choice(faults)

    with scripted_api(script) as api:
        engine = connect([api.url], model="scripted", key=None, in_flight=16, retries=4)
        found = answers(engine, (ask(number) for number in range(200)))
    assert set(found) == set(range(200))
    done = {number for number, outcome in found.items() if isinstance(outcome, Completion)}
    failed = {number: outcome.reason for number, outcome in found.items() if isinstance(outcome, Failure)}
    assert all(found[number].text == f"answer to question {number}" for number in done)
    assert all("400" in failed[number] for number in range(0, 200, 10))
    assert len(done) > 140
    assert api.most_at_once <= 16
    tries = [
        sum(f"question {number}" == body["messages"][-1]["content"] for body in api.asked) for number in range(200)
    ]
    assert max(tries) <= 5
    assert all(tries[number] == 1 for number in range(0, 200, 10))  # what can never work is not tried again


def test_half_a_body_and_silence_are_tried_again():
    def half(connection, turn):
        connection.recv(65536)
        if turn == 0:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{")
        elif turn == 1:
            time.sleep(0.6)  # longer than the timeout
        else:
            body = b'{"choices": [{"message": {"content": "at last"}, "finish_reason": "stop"}]}'
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            for turn in range(3):
                half(listener.accept()[0], turn)

        threading.Thread(target=serve, daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        engine = Endpoint([url], "any", "any", timeout=0.4)
        assert answers(engine, [ask(0)]) == {0: Completion("at last", finished=True, tokens=0)}


def test_a_dead_server_gives_failures_not_an_endless_wait():
    engine = Endpoint(["http://127.0.0.1:9/v1"], "any", "any", retries=2)
    found = answers(engine, [ask(number) for number in range(20)])
    assert all("ConnectError" in outcome.reason for outcome in found.values())


def test_load_is_spread_and_another_server_steps_in():
    with scripted_api(echo) as first, scripted_api(lambda *_: (500, b"")) as broken:
        engine = connect([first.url, broken.url], model=None, key=None)
        found = answers(engine, [ask(number) for number in range(10)])
    assert all(isinstance(outcome, Completion) for outcome in found.values())
    assert len(first.asked) == 10
    assert len(broken.asked) == 5


def test_requests_are_taken_only_as_fast_as_they_are_answered():
    taken = 0

    def many():
        nonlocal taken
        for number in range(1_000_000):
            taken += 1
            yield ask(number)

    with scripted_api(echo) as api:
        engine = connect([api.url], model=None, key=None, in_flight=4)
        outcomes = engine.generate(many(), SAMPLING)
        for _ in range(20):
            next(outcomes)
        time.sleep(0.2)
        assert taken <= 20 + 4 + 4 + 4  # answered, waiting to be taken, in a worker's hands, in flight
        outcomes.close()
        asked = len(api.asked)
        time.sleep(0.2)
        assert len(api.asked) == asked  # nothing goes on behind our back


def test_it_works_inside_a_running_event_loop():
    async def notebook(engine):
        return answers(engine, [ask(1)])

    with scripted_api(echo) as api:
        found = asyncio.run(notebook(connect([api.url], model=None, key=None)))
    assert found[0].text == "answer to question 1"


def test_a_wrong_key_or_model_or_address_stops_with_one_sentence():
    with scripted_api(echo, key="secret") as api:
        with pytest.raises(EngineError, match="key_variable"):
            connect([api.url], model=None, key="wrong")
        with pytest.raises(EngineError, match="serves scripted, not other"):
            connect([api.url], model="other", key="secret")
        with pytest.raises(EngineError, match="refuses requests for model scripted"):
            list(Endpoint([api.url], "scripted", "x", key="wrong").generate([ask(1)], SAMPLING))
    with pytest.raises(EngineError, match="No OpenAI-compatible API answers at"):
        connect(["http://127.0.0.1:9/v1"], model=None, key=None)
