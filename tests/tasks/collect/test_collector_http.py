"""The collector as its senders meet it: real requests to a real server."""

import gzip
import hashlib
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import httpx
import pytest
from google.rpc.status_pb2 import Status

from configs.settings import CollectorSettings, CollectSettings
from storage.lake import Lake
from tasks.collect.http.serve import CollectorError, serve
from tasks.collect.http.spool import LOOK_SECONDS
from tests.tasks.collect.collectors import MAX_REQUEST_BYTES, collected
from tests.tasks.collect.samples import SAMPLES
from tests.tasks.collect.test_collect_fuzz import changed, mutated

LOG = SAMPLES["openai_log"][0]
THUMB = {"target_id": "chatcmpl-1", "kind": "thumb", "value": 1, "timestamp": "2026-04-20T10:00:00Z"}
JSON = {"content-type": "application/json"}
PROTOBUF = {"content-type": "application/x-protobuf"}


def spooled(lake: Lake) -> list[dict]:
    files = sorted(Path(lake.path() + ".spool").glob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def test_a_record_a_list_and_lines_are_taken_as_they_came(sender, lake):
    pages = SAMPLES["document"]
    answers = [
        sender.post("/v1/interactions", json=LOG),
        sender.post("/v1/interactions", json=SAMPLES["langfuse"]),
        sender.post(
            "/v1/interactions",
            content="\n".join(map(json.dumps, pages)) + "\n",
            headers={"content-type": "application/x-ndjson"},
        ),
        sender.post("/v1/feedback", json=THUMB),
    ]
    assert [answer.status_code for answer in answers] == [202] * 4
    assert [answer.json()["accepted"] for answer in answers] == [1, len(SAMPLES["langfuse"]), len(pages), 1]
    assert spooled(lake) == [LOG, *SAMPLES["langfuse"], *pages, THUMB]


def test_each_bad_record_of_a_batch_is_named_and_the_good_ones_are_kept(sender, lake):
    batch = [LOG, {"messages": []}, 3, {**LOG, "consent": "perhaps"}, {"question": "Why?", "answer": "So."}]
    answer = sender.post("/v1/interactions", json=batch)
    assert answer.status_code == 202
    assert answer.json() == {
        "accepted": 2,
        "rejected": [
            {"index": 1, "status": 422, "reason": "there are no messages"},
            {"index": 2, "status": 422, "reason": "the record is no object"},
            {"index": 3, "status": 422, "reason": "consent is 'perhaps', neither true nor false"},
        ],
    }
    assert spooled(lake) == [batch[0], batch[4]]
    lines = "\n".join(["{broken", json.dumps(LOG)])
    answer = sender.post("/v1/interactions", content=lines, headers={"content-type": "application/x-ndjson"})
    assert answer.json()["rejected"][0]["index"] == 0
    assert "not JSON" in answer.json()["rejected"][0]["reason"]


def test_nothing_usable_is_422_and_feedback_takes_feedback_only(sender, lake):
    refused = sender.post("/v1/feedback", json=[LOG, {"target_id": "a", "kind": "applause"}])
    assert refused.status_code == 422
    assert [one["reason"].split(":")[0] for one in refused.json()["rejected"]] == [
        "it is no feedback",
        "feedback of the kind 'applause'; known are thumb, rating, edit, regenerate, comparison, comment",
    ]
    assert spooled(lake) == []


@pytest.mark.parametrize(
    ("content", "headers", "status", "words"),
    [
        (b"{", {"content-type": "application/json"}, 400, "not JSON"),
        (b"{}", {"content-type": "text/plain"}, 415, "application/json"),
        (b"{}", {"content-type": "application/json", "content-encoding": "br"}, 415, "gzip"),
        (b"no gzip", {"content-type": "application/json", "content-encoding": "gzip"}, 400, "no whole gzip"),
        (b" " * (MAX_REQUEST_BYTES + 1), {"content-type": "application/json"}, 413, "20,000 bytes"),
        (
            gzip.compress(b" " * 50 * MAX_REQUEST_BYTES),
            {"content-type": "application/json", "content-encoding": "gzip"},
            413,
            "20,000 bytes",
        ),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_in_one_sentence(sender, content, headers, status, words):
    answer = sender.post("/v1/interactions", content=content, headers=headers)
    assert answer.status_code == status
    assert words in answer.json()["error"]


def test_a_body_without_a_length_is_cut_off_at_the_limit(sender):
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(10_000):
            sent += 10_000
            yield b" " * 10_000

    try:
        answer = sender.post("/v1/interactions", content=endless(), headers={"content-type": "application/json"})
    except httpx.WriteError:  # the connection was closed while we were still sending
        pass
    else:
        assert answer.status_code == 413
    assert sent < 50_000_000
    assert sender.get("/healthz").json() == {"status": "ok"}


def test_gzip_is_unpacked(sender, lake):
    packed = gzip.compress(json.dumps(LOG).encode())
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    assert sender.post("/v1/interactions", content=packed, headers=headers).status_code == 202
    assert spooled(lake) == [LOG]


def test_metrics_count_what_became_of_records(sender):
    sender.post("/v1/interactions", json=[LOG, 3])
    shown = sender.get("/metrics").text
    assert 'flywheel_collector_records_total{outcome="accepted",route="interactions"} 1.0' in shown
    assert 'flywheel_collector_records_total{outcome="rejected",route="interactions"} 1.0' in shown
    assert 'flywheel_collector_requests_total{route="interactions",status="202"} 1.0' in shown
    size = next(line for line in shown.splitlines() if line.startswith("flywheel_collector_spool_bytes"))
    assert float(size.split()[1]) > 100


def test_only_who_has_a_key_may_send(forks, lake, tmp_path):
    hashes = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("in-file", "in-variable")}
    (tmp_path / "keys").write_text(f"# who may send\nweb-app {hashes['in-file']}\n")
    settings = {"keys_file": str(tmp_path / "keys")}
    variable = f"other-app {hashes['in-variable']}"
    given = [
        None,
        "Bearer wrong",
        "Basic in-file",
        f"Bearer {hashes['in-file']}",
        "Bearer in-file",
        "bearer in-variable",
    ]
    headers = [{"authorization": value} if value else {} for value in given]
    collector = forks.collector(lake, settings, FLYWHEEL_COLLECTOR_KEYS=variable)
    with collector as address, httpx.Client(base_url=address) as client:
        codes = [client.post("/v1/interactions", json=LOG, headers=one).status_code for one in headers]
        assert client.get("/healthz").status_code == 200
        traces = client.post("/v1/traces", content=b"", headers=PROTOBUF)
    assert codes == [401, 401, 401, 401, 202, 202]
    assert (traces.status_code, traces.headers["www-authenticate"]) == (401, "Bearer")
    assert "Bearer KEY" in Status.FromString(traces.content).message


def test_a_full_spool_is_429_and_a_lost_one_503_and_both_say_when_to_come_again(forks, lake, tmp_path):
    with forks.collector(lake, {"max_spool_bytes": 1, "spool": str(tmp_path / "a")}) as address:
        assert httpx.post(f"{address}/v1/interactions", json=LOG).status_code == 202
        time.sleep(LOOK_SECONDS)
        answer = httpx.post(f"{address}/v1/interactions", json=LOG)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "30")
        assert "until the next `collect`" in answer.json()["error"]
        (tmp_path / "a").rename(tmp_path / "b")
        (tmp_path / "a").write_text("no folder")
        time.sleep(LOOK_SECONDS)
        answer = httpx.post(f"{address}/v1/interactions", json=LOG)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
        assert "cannot be written: File exists" in answer.json()["error"]
        assert httpx.get(f"{address}/healthz").status_code == 503


def test_a_disk_that_is_full_is_said_before_anything_is_served(lake):
    with pytest.raises(CollectorError, match="the collector's disk is full"):
        serve(lake, CollectSettings(http=CollectorSettings(min_free_bytes=2**60)), "127.0.0.1", 0)


def test_what_the_collector_accepts_collect_takes_and_nothing_stops_it(forks, lake):
    lines = mutated(Random(8), 3_000)
    spans = [json.dumps(changed(Random(at), SAMPLES["opentelemetry"][0])).encode() for at in range(200)]
    with forks.collector(lake) as address, httpx.Client(base_url=address, timeout=60) as client:
        headers = {"content-type": "application/x-ndjson"}
        answer = client.post("/v1/interactions", content=b"\n".join(lines), headers=headers)
        traces = [client.post("/v1/traces", content=one, headers=JSON) for one in spans]
    said = answer.json()
    partly = {one["index"] for one in said["rejected"] if one["reason"].startswith("a part of it")}
    refused = {one["index"] for one in said["rejected"]} - partly
    assert (answer.status_code, said["accepted"] + len(refused)) == (202, len(lines))
    assert {one.status_code for one in traces} == {200, 400}
    told = "\n".join([one["reason"] for one in said["rejected"]] + [json.dumps(one.json()) for one in traces])
    reasons = {row["reason"] for row in collected(lake, "quarantine")}
    reasons.remove("another record has the same id and other content")
    assert len(reasons) > 3
    assert [reason for reason in reasons if reason not in told and json.dumps(reason)[1:-1] not in told] == []


def test_a_record_that_is_nested_too_deeply_is_named(sender):
    deep: list = []
    for _ in range(400):
        deep = [deep]
    answer = sender.post("/v1/interactions", json={**LOG, "extra": deep})
    assert answer.status_code == 422
    assert "cannot be stored" in answer.json()["rejected"][0]["reason"]


def test_a_sender_that_goes_away_leaves_no_trace(forks, lake, capfd):
    with forks.collector(lake) as address:
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as cut:
            head = f"POST /v1/interactions HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n"
            cut.sendall(f"{head}content-length: 100\r\n\r\n{{".encode())
        time.sleep(0.2)
        assert httpx.get(f"{address}/healthz").status_code == 200
    assert "Traceback" not in capfd.readouterr().err


def test_a_write_that_fails_acknowledges_nothing_and_leaves_a_spool_that_can_be_read(forks, lake):
    short = {"question": "Why?", "answer": "So."}
    long = [{"question": f"Why {at}?", "answer": "So. " * 50} for at in range(40)]
    with forks.collector(lake, longest=4_000) as address:
        codes = [httpx.post(f"{address}/v1/interactions", json=one).status_code for one in (short, long, short)]
    assert codes == [202, 503, 202]
    rows = collected(lake)
    assert sum(row["messages"][0]["content"] == "Why?" for row in rows) == 1
    assert collected(lake, "quarantine") == []
    assert list(Path(lake.path() + ".spool").glob("*.jsonl")) == []
