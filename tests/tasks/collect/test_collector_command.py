"""The commands `collector` and `new-key`, as a person meets them: what they print, and mistakes in one sentence."""

import hashlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from configs.load import SettingsError, parse
from configs.settings import CollectorSettings, CollectSettings
from storage.lake import Lake
from tasks.collect.http.keys import KeysError, holder, known_keys, new_key
from tasks.collect.http.serve import CollectorError, serve
from tasks.inference.listen import ListenError
from tests.tasks.collect.samples import SAMPLES


def test_it_says_where_it_listens_takes_a_record_and_ends_on_ctrl_c(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "flows.cli", "collector", "--port", "0", "--set", f"lake={tmp_path / 'lake'}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        said = running.stdout.readline()
        address = said.split()[2]
        assert str(tmp_path / "lake.spool") in said
        assert httpx.post(f"{address}/v1/interactions", json=SAMPLES["messages"]).status_code == 202
        os.kill(running.pid, signal.SIGINT)
        assert running.wait(20) == 0
    (segment,) = (tmp_path / "lake.spool").glob("*.jsonl")
    assert segment.read_text().count("\n") == 1
    assert segment.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_without_keys_only_this_machine_may_send(host: str, tmp_path: Path) -> None:
    with pytest.raises(CollectorError, match=r"^Without API keys .* not on .*new-key"):
        serve(Lake(str(tmp_path / "lake")), CollectSettings(), host, 0)


def test_a_port_that_is_taken_and_a_lake_without_a_folder_are_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(ListenError, match=r"in use.*--port"):
        serve(Lake(str(tmp_path / "lake")), CollectSettings(), "127.0.0.1", other.getsockname()[1])
    with pytest.raises(CollectorError, match=r"name a local folder as collect\.http\.spool"):
        serve(Lake("s3://bucket/lake"), CollectSettings(), "127.0.0.1", 0)


def test_a_new_key_opens_and_its_line_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    key, line = new_key("web-app")
    assert line == f"web-app {hashlib.sha256(key.encode()).hexdigest()}"
    monkeypatch.setenv("FLYWHEEL_COLLECTOR_KEYS", f"{line},{new_key('other')[1]}")
    keys = known_keys(CollectorSettings())
    assert list(keys) == ["web-app", "other"]
    assert holder(keys, f"Bearer {key}") == "web-app"
    assert holder(keys, f"Bearer {line}") is None
    assert holder(keys, "Bearer kéy") is None
    assert new_key("web-app")[0] != key


def test_keys_that_cannot_be_read_are_said(tmp_path: Path) -> None:
    with pytest.raises(KeysError, match="There is no file"):
        known_keys(CollectorSettings(keys_file=str(tmp_path / "none")))
    key, line = new_key("a")
    (tmp_path / "keys").write_text(f"# ours\n\n{line}\nb {key}\n")
    with pytest.raises(KeysError, match=r"Line 4 of .*keys is not `NAME SHA256`") as caught:
        known_keys(CollectorSettings(keys_file=str(tmp_path / "keys")))
    assert key not in str(caught.value)


def test_http_is_the_name_of_what_came_over_http() -> None:
    with pytest.raises(SettingsError, match="a source is named http"):
        parse({"collect": {"sources": [{"name": "http", "path": "."}]}}, "a.yaml")
    with pytest.raises(SettingsError, match=r"http\.about is chats, which is no source"):
        parse({"collect": {"http": {"about": "chats"}}}, "a.yaml")
    parse({"collect": {"sources": [{"name": "said", "path": ".", "format": "feedback", "about": "http"}]}}, "a.yaml")
