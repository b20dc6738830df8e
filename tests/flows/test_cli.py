"""The `flywheel` command, as a person meets it: help, mistakes, an empty source."""

import re
import subprocess
import sys
from pathlib import Path

import pytest


def flywheel(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flows.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_help_names_every_command() -> None:
    shown = flywheel("--help")
    assert shown.returncode == 0
    listed = set(re.findall(r"^│ (\w[\w-]*) ", shown.stdout, re.MULTILINE))
    assert listed == {
        "run", "curate", "mix", "export-mixture", "review", "status", "report", "trace", "erase", "maintain",
        "promote", "rollback", "export", "serve", "collector", "new-key", "metrics", "deploy",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "none.yaml"], ["none.yaml", "configs/quickstart.yaml"]),
        (
            ["run", "configs/quickstart.yaml", "--set", "mix.max_rows=many"],
            ["mix.max_rows", "quickstart.yaml", "'many'"],
        ),
        (["status", "no/such/lake"], ["no/such/lake", "make quickstart"]),
    ],
)
def test_a_mistake_is_one_sentence_and_no_traceback(arguments: list[str], words: list[str]) -> None:
    shown = flywheel(*arguments)
    assert shown.returncode == 2
    assert all(word in shown.stderr for word in words), shown.stderr
    assert "Traceback" not in shown.stderr


def test_a_prefect_server_that_is_away_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    shown = flywheel("deploy")
    assert shown.returncode == 2
    assert "PREFECT_API_URL (http://127.0.0.1:9/api)" in shown.stderr
    assert "Traceback" not in shown.stderr


def test_a_missing_model_says_how_to_get_one(tmp_path: Path) -> None:
    lake = f"lake={tmp_path / 'lake'}"
    shown = flywheel("run", "configs/quickstart.yaml", "--set", lake, "--set", "model_name_or_path=/no/model")
    assert shown.returncode == 2
    assert "/no/model" in shown.stderr
    assert "smollm2" in shown.stderr
    assert not (tmp_path / "lake").exists()


def test_an_empty_source_is_nothing_to_do(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(f"lake: {tmp_path / 'lake'}\ncollect: {{sources: [{{name: a, path: '{tmp_path}/*.jsonl'}}]}}\n")
    shown = flywheel("run", str(config))
    assert shown.returncode == 0, shown.stderr
    assert "Nothing new" in shown.stdout
    assert not (tmp_path / "lake").exists()
