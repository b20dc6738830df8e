"""Nights of one lake in the chaos benchmark: records are sent, something is shot at, and what is left is counted."""

import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from resource import RLIMIT_FSIZE
from typing import Any

import httpx
import psutil

from storage.lake import Lake
from tests.bench import _chaos_left as left
from tests.bench import _failing_s3
from tests.bench._chaos_place import Place
from tests.bench._night_data import conversations, judgements
from tests.flows.server import FINAL

STORE = "store 503"
"""The blow for a lake in an object store; the others are named by what they hit."""
ROWS, BURST, JUDGED = 40, 2, 0.5
EARLY = 0.8
"""Of the first night's time, so that the moments are within the later ones, which take less."""
STARTED = 0.25
"""Of a night's time: before, Python only imports."""
GONE_SECONDS = 120.0  # Python takes its time to end on a busy machine
OUTAGE = (2.0, 30.0)
"""Seconds for which the store answers 503."""
AWAITED = {"flow": "flow", "disk full": "flow", "trainer": "trainer", "vLLM": "vLLM"}
"""What must be up for a blow to hit."""
BRIEF = {"trainer": 2.0, "vLLM": 3.0}
"""How long it then is up; the rest of the night, if not named."""


@dataclass
class Found:
    """What came of all blows.

    Args:
        hits: how many of each hit something.
        moments: the table that was written last before each.
        ends: the states in which these nights ended.
        sent: records.
        lost: most records of a lake that were acknowledged, and are nowhere or unaccounted for.
        doubled: most rows of a lake that are there twice.
        orphans: command lines of processes of a night that outlived it.
        balanced: whether in = out, always and everywhere.
        serves: whether the champion answered, always.
    """

    hits: Counter[str] = field(default_factory=Counter)
    moments: dict[str, list[str]] = field(default_factory=dict)
    ends: dict[str, list[str]] = field(default_factory=dict)
    sent: int = 0
    lost: int = 0
    doubled: int = 0
    orphans: list[str] = field(default_factory=list)
    balanced: bool = True
    serves: bool = True


class Trial:
    """Nights of one lake: what is sent and what is shot at.

    Args:
        place: where they run.
        chance: when blows fall.
        found: gets what came of it.
        store: address of the object store, if the lake is in one.
    """

    def __init__(self, place: Place, chance: random.Random, found: Found, store: str = "") -> None:
        self.place, self.chance, self.found, self.store = place, chance, found, store
        self.lake = Lake(place.settings.lake)
        self.asked: set[str] = set()
        self.judged: set[str] = set()
        self.nights, self.typical = 0, 0.0

    def go(self, blows: Sequence[str]) -> None:
        """A night for each blow, between two that nobody disturbs: the last one brings what is not collected yet."""
        self.typical = EARLY * self.undisturbed()
        for what in blows:
            self.blow(what)
            self.judge()
        self.undisturbed()
        self.judge(whole=True)
        self.found.sent += len(self.asked) + len(self.judged)

    def undisturbed(self) -> float:
        """A night that completes; the seconds that it took."""
        self._send()
        start, run = time.monotonic(), self.place.night()
        self._completed(run, self.place.ended(run))
        return time.monotonic() - start

    def blow(self, what: str) -> None:
        """A night with a blow at some moment; returns once it ended, however it did."""
        began, runs = time.time(), [self.place.night()]
        with ThreadPoolExecutor(1) as threads:
            sent = threads.submit(self._send, self.typical)
            moment = self._strike(what, runs, began)
            self.place.mend()
            sent.result()
        ends = [self.place.ended(run) for run in runs]
        if ends == ["COMPLETED"]:
            self.typical = min(self.typical, time.time() - began)
        orphans = self.place.left(GONE_SECONDS)
        self.found.orphans += orphans
        self.found.moments.setdefault(what, []).append(moment)
        self.found.ends.setdefault(what, []).extend(ends)
        sys.stderr.write(f"{what} after {moment}: {', '.join(ends)} {orphans or ''}\n")
        for run, end in zip(runs, ends, strict=True):
            if end != "COMPLETED":
                self._completed(run, self.place.retried(run))

    def judge(self, *, whole: bool = False) -> None:
        """Count what is left; `whole`: all that was sent must have been collected."""
        lost = left.astray(self.lake) + (left.missing(self.lake, self.asked, self.judged) if whole else 0)
        doubled = left.doubled(self.lake)
        balanced, serves = left.balanced(self.lake), left.serves(self.lake)
        sys.stderr.write(f"  {lost=} {doubled=} {balanced=} {serves=}\n")
        self.found.lost, self.found.doubled = max(self.found.lost, lost), max(self.found.doubled, doubled)
        self.found.balanced &= balanced
        self.found.serves &= serves

    def _completed(self, run: str, state: str) -> None:
        if state != "COMPLETED":
            raise RuntimeError(f"A night that nobody disturbed ended as {state}: {self.place.message(run)}")

    def _strike(self, what: str, runs: list[str], began: float) -> str:
        """Wait for some moment and strike; the table that was written last before it.

        Args:
            what: shall be hit.
            runs: the night's; a second one is added.
            began: when it did, in seconds since 1970.
        """
        if what in AWAITED and not self.place.wait_for(AWAITED[what], runs[0]):
            return "never up"
        brief = BRIEF.get(what)
        time.sleep(self.chance.uniform(0, brief) if brief else self.chance.uniform(STARTED, 1) * self.typical)
        moment = left.last_written(self.lake, began)
        self.found.hits[what] += self._hit(what, runs)
        return moment

    def _hit(self, what: str, runs: list[str]) -> bool:
        """Strike; whether there was something to hit."""
        if what == STORE:
            return self._fail_store()
        if what == "disk full":
            return self._fill_disk()
        if what == "two at once":
            runs.append(self.place.night())
            return self.place.state(runs[0]) not in FINAL
        return self.place.kill(what)

    def _fill_disk(self) -> bool:
        """From now on the flow can write no more bytes into any file, as on a full disk."""
        flows = self.place.processes("flow")
        for one in flows:
            with suppress(psutil.NoSuchProcess):
                one.rlimit(RLIMIT_FSIZE, (1, 1))
        return bool(flows)

    def _fail_store(self) -> bool:
        """The store answers 503 for a while."""
        seconds = self.chance.uniform(*OUTAGE)
        self._tell_store(seconds)
        time.sleep(seconds)
        return self._tell_store(0) > 0

    def _tell_store(self, seconds: float) -> int:
        address = f"{self.store}{_failing_s3.FAIL}?{seconds}"
        return int(httpx.get(address, timeout=60).raise_for_status().text)

    def _send(self, seconds: float = 0) -> None:
        """Send one more night's records within so many seconds, each until it is acknowledged."""
        self.nights += 1
        logs = conversations(self.nights, ROWS)
        judged = judgements(self.nights, logs, JUDGED)
        with httpx.Client(base_url=self.place.collector, timeout=10) as client:
            for at in range(0, ROWS, BURST):
                burst = logs[at : at + BURST]
                names = {log["response"]["id"] for log in burst}
                _until_taken(client, "/v1/interactions", burst)
                self.asked |= names
                if about := [one for one in judged if one["target_id"] in names]:
                    _until_taken(client, "/v1/feedback", about)
                    self.judged |= {one["target_id"] for one in about}
                time.sleep(seconds * BURST / ROWS)


def _until_taken(client: httpx.Client, path: str, records: list[dict[str, Any]]) -> None:
    while True:
        try:
            answer = client.post(path, json=records).raise_for_status().json()
        except httpx.HTTPError:
            time.sleep(0.2)
            continue
        if answer["accepted"] != len(records):
            raise RuntimeError(f"The collector did not take all: {answer}")
        return
