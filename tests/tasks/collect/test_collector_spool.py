"""The spool: nothing is acknowledged before it is on the disk, and collect takes each record once."""

import asyncio
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from random import Random

import httpx
import pytest

from configs.settings import CollectorSettings, CollectSettings, Source
from storage.lake import Lake
from storage.snapshot import digest
from tasks.collect.http import spool as spools
from tasks.collect.http.drain import reading
from tasks.collect.http.spool import Spool, SpoolError
from tasks.collect.run import anything_new, collect_new
from tests.tasks.collect.collectors import Forks, gone


@pytest.fixture
def folder(lake: Lake) -> Path:
    return Path(lake.path() + ".spool")


@pytest.fixture
def held_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A disk that finishes an fsync only once the event is set."""
    real, free = os.fsync, threading.Event()

    def fsync(handle: int) -> None:
        assert free.wait(10)
        real(handle)

    monkeypatch.setattr(spools.os, "fsync", fsync)
    yield free
    free.set()


def record(name: str, **more: object) -> dict[str, object]:
    return {"id": name, "question": f"What is {name}?", "answer": f"It is {name}.", **more}


def line(name: str, **more: object) -> bytes:
    return json.dumps(record(name, **more)).encode()


def thumb(name: str) -> bytes:
    return json.dumps({"target_id": name, "kind": "thumb", "value": 1}).encode()


def write(folder: Path, *lines: bytes, close: bool = True) -> Spool:
    """A spool with these lines in a segment."""
    spool = Spool(folder, CollectorSettings(min_free_bytes=0))

    async def work() -> None:
        await spool.add(lines)
        if close:
            await spool.close()

    asyncio.run(work())
    return spool


def names(lake: Lake, table: str = "interactions") -> list[str]:
    return sorted(lake.read(table).collect()["id"])


def test_nothing_is_acknowledged_before_it_is_on_the_disk(folder, held_disk):
    async def work() -> None:
        spool = Spool(folder, CollectorSettings(min_free_bytes=0))
        first = asyncio.create_task(spool.add([line("a")]))
        await asyncio.sleep(0.2)
        assert not first.done()
        held_disk.set()
        await asyncio.wait_for(first, 5)
        await spool.close()

    asyncio.run(work())
    assert [file.read_bytes() for file in folder.glob("*.jsonl")] == [line("a") + b"\n"]


def test_requests_that_come_during_an_fsync_share_the_next_one(folder, held_disk):
    writes: list[float] = []

    async def work() -> None:
        spool = Spool(folder, CollectorSettings(min_free_bytes=0), writes.append)
        adding = [asyncio.create_task(spool.add([line(str(at))])) for at in range(1)]
        await asyncio.sleep(0.1)
        adding += [asyncio.create_task(spool.add([line(str(at))])) for at in range(1, 500)]
        await asyncio.sleep(0.1)
        held_disk.set()
        await asyncio.gather(*adding)
        await spool.close()

    asyncio.run(work())
    assert len(writes) == 2
    (segment,) = folder.glob("*.jsonl")
    assert segment.read_bytes().splitlines() == [line(str(at)) for at in range(500)]


def test_an_fsync_that_fails_acknowledges_nothing(folder, monkeypatch):
    def fail(handle: int) -> None:
        raise OSError(5, "Input/output error")

    async def work() -> None:
        spool = Spool(folder, CollectorSettings(min_free_bytes=0))
        await spool.add([line("a")])
        with monkeypatch.context() as patched:
            patched.setattr(spools.os, "fsync", fail)
            with pytest.raises(SpoolError, match="Input/output error"):
                await spool.add([line("b")])
        await spool.add([line("c")])
        await spool.close()

    asyncio.run(work())
    assert sorted(file.read_bytes().count(b"\n") for file in folder.glob("*.jsonl")) == [1, 2]


def test_collect_takes_the_spool_and_removes_what_is_closed_and_published(lake, folder):
    write(folder, line("a"), line("b"))
    assert anything_new(lake, CollectSettings())
    assert collect_new(lake, CollectSettings()) is not None
    assert names(lake) == sorted(digest("http", name) for name in "ab")
    assert list(folder.glob("*.jsonl")) == []
    assert collect_new(lake, CollectSettings()) is None
    assert lake.read("interactions").collect()["source"].unique().to_list() == ["http"]


def test_a_segment_whose_collector_lives_is_tailed_and_stays(lake, folder):
    spool = write(folder, line("a"), close=False)
    collect_new(lake, CollectSettings())
    assert len(list(folder.glob("*.jsonl"))) == 1
    spool._segment.append(line("b") + b"\n" + line("c")[:20])
    collect_new(lake, CollectSettings())
    assert names(lake) == sorted(digest("http", name) for name in "ab")
    spool._close_segment()  # as if it had been killed while it wrote c
    collect_new(lake, CollectSettings())
    assert list(folder.glob("*.jsonl")) == []
    assert len(names(lake)) == 2
    assert lake.read("quarantine").collect().height == 0


def test_an_empty_segment_goes_unless_its_collector_lives(lake, folder):
    write(folder, line("a"))
    (folder / "killed.jsonl").touch()
    living = spools.new_segment(folder)
    collect_new(lake, CollectSettings())
    assert [file.stat().st_size for file in folder.glob("*.jsonl")] == [0]
    os.close(living.handle)
    write(folder, line("b"))
    collect_new(lake, CollectSettings())
    assert list(folder.glob("*.jsonl")) == []


def test_nothing_is_removed_while_somebody_else_reads(lake, folder):
    write(folder, line("a"))
    with reading(folder):
        collect_new(lake, CollectSettings())
        assert len(list(folder.glob("*.jsonl"))) == 1
    collect_new(lake, CollectSettings())
    assert list(folder.glob("*.jsonl")) == []


def test_a_record_that_is_sent_again_is_taken_once(lake, folder):
    write(folder, line("a"), line("b"))
    collect_new(lake, CollectSettings())
    write(folder, line("a"), line("b"), line("a"), line("c"))
    collect_new(lake, CollectSettings())
    assert names(lake) == sorted(digest("http", name) for name in "abc")


def test_a_line_that_was_blanked_is_forgotten_and_the_others_are_taken_once(lake, folder):
    write(folder, line("a"), line("b"), line("c"), close=False)
    collect_new(lake, CollectSettings())
    (segment,) = folder.glob("*.jsonl")
    with segment.open("r+b") as file:
        file.seek(len(line("a")) + 1)
        file.write(b" " * len(line("b")))
    write(folder, line("d"))
    collect_new(lake, CollectSettings())
    assert names(lake) == sorted(digest("http", name) for name in "abcd")
    assert lake.read("quarantine").collect().height == 0


def test_segments_are_closed_when_they_are_long_or_old(folder, monkeypatch):
    monkeypatch.setattr(spools, "SEGMENT_BYTES", 200)
    write(folder, *(line(str(at)) for at in range(10)))

    async def work() -> None:
        spool = Spool(folder, CollectorSettings(min_free_bytes=0))
        await spool.add([line("a")])
        spool.rotate()
        await spool.add([line("b")])
        monkeypatch.setattr(spools, "SEGMENT_SECONDS", 0.0)
        spool.rotate()
        await spool.add([line("c")])
        await spool.close()

    asyncio.run(work())
    assert sorted(file.read_bytes().count(b"\n") for file in folder.glob("*.jsonl")) == [1, 2, 10]


def test_feedback_over_http_joins_its_interaction_nights_later(lake, folder, tmp_path):
    write(folder, line("a", timestamp="2026-05-01T00:00:00Z"))
    collect_new(lake, CollectSettings())
    write(folder, thumb("a"))
    collect_new(lake, CollectSettings())
    assert lake.read("feedback").collect()["target_id"].to_list() == [digest("http", "a")]


def test_feedback_over_http_may_be_about_what_another_source_logged(lake, folder, tmp_path):
    (tmp_path / "app.jsonl").write_bytes(line("a") + b"\n")
    sources = (Source(name="chats", path=str(tmp_path / "app.jsonl")),)
    write(folder, thumb("a"))
    collect_new(lake, CollectSettings(sources=sources, http=CollectorSettings(about="chats")))
    assert lake.read("feedback").collect()["target_id"].to_list() == names(lake) == [digest("chats", "a")]


@pytest.mark.slow
def test_collector_and_collect_killed_30_times_under_load_each_acknowledged_record_is_there_once(
    forks: Forks, lake: Lake, folder: Path
) -> None:
    acknowledged: set[str] = set()
    random = Random(7)

    def send(address: str, sender: int, turn: int) -> None:
        with httpx.Client(base_url=address, timeout=5, verify=False) as client:  # making a TLS context takes long
            for number in range(10_000):
                batch = [record(f"{turn}-{sender}-{number}-{at}") for at in range(number % 3 + 1)]
                try:
                    answer = client.post("/v1/interactions", json=batch)
                except httpx.TransportError:  # it was killed
                    return
                assert answer.status_code == 202
                acknowledged.update(str(one["id"]) for one in batch)

    with ThreadPoolExecutor(4) as senders:
        for turn in range(30):
            process, address = forks.serve(lake, {"min_free_bytes": 0})
            sending = [senders.submit(send, address, sender, turn) for sender in range(4)]
            before, deadline = len(acknowledged), time.monotonic() + 10
            while len(acknowledged) == before and time.monotonic() < deadline:
                time.sleep(0.005)
            collecting = forks.collect(lake)
            time.sleep(random.uniform(0, 0.3))
            for one in random.sample([process, collecting], 2):
                with suppress(ProcessLookupError):  # collect had ended already
                    os.kill(one, signal.SIGKILL)
            for one in sending:
                one.result(20)
            gone(process)
    while collect_new(lake, CollectSettings()) is not None:
        pass
    taken = names(lake)
    assert len(acknowledged) > 300
    assert {digest("http", name) for name in acknowledged} <= set(taken)
    assert len(taken) == len(set(taken))
    assert lake.read("quarantine").collect().height == 0
    assert list(folder.glob("*.jsonl")) == []
