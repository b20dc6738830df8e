"""What SECURITY.md says of code in data and models: it is not run. And nobody is told that we run."""

import ast
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jinja2.exceptions import SecurityError
from safetensors.torch import load_file

from tasks.lm.load import load
from tests.test_architecture import ROOT, SOURCES, imports, name
from tests.tiny_model import make_tiny_model

PICKLES = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
RUNS_TEXT = {"eval", "exec", "compile", "yaml.load", "yaml.unsafe_load", "yaml.full_load", "os.system", "torch.load"}


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self.target, "went off")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return make_tiny_model(tmp_path / "model")


def test_weights_that_are_a_pickle_with_code_are_refused(model: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    pickle.loads(pickle.dumps(Bomb(target)))
    assert target.read_text() == "went off", "the bomb of this test does not work"
    target.unlink()
    weights = model / "model.safetensors"
    assert load_file(weights)
    weights.unlink()
    (model / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb(target)))
    with pytest.raises(Exception, match=r"(?i)weights.only|unpickl|corrupt|unable to load"):
        load(model)
    assert not target.exists()


def test_code_that_comes_with_a_model_is_not_run(model: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    config = model / "config.json"
    text = config.read_text().replace("{", '{"auto_map": {"AutoModelForCausalLM": "own.Own"}, ', 1)
    config.write_text(text.replace('"model_type": "llama"', '"model_type": "own"'))
    (model / "own.py").write_text(f"open({str(target)!r}, 'w')")
    with pytest.raises(ValueError, match=r"own|trust"):
        load(model)
    assert not target.exists()


def test_a_chat_template_cannot_leave_its_sandbox(model: Path) -> None:
    tokenizer = load(model).tokenizer
    tokenizer.chat_template = "{{ messages.__class__.__base__.__subclasses__() }}"
    with pytest.raises(SecurityError):
        tokenizer.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=False)


@pytest.mark.parametrize("file", SOURCES, ids=name)
def test_nothing_runs_what_it_reads(file: Path) -> None:
    calls = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
    assert not RUNS_TEXT & {ast.unparse(call.func) for call in calls}
    told = {ast.unparse(word) for call in calls for word in call.keywords}
    assert not told & {"trust_remote_code=True", "shell=True", "weights_only=False", "allow_pickle=True"}
    if file != ROOT / "tasks/engine/spread.py":  # between processes of one Ray cluster, never from files
        assert not PICKLES & {module.split(".")[0] for module in imports(file)}


def test_nothing_is_sent_to_those_who_made_what_we_use() -> None:
    """As in a notebook of somebody who never heard of these variables."""
    switches = ("DO_NOT_TRACK", "HF_HUB_DISABLE_TELEMETRY", "PREFECT_SERVER_ANALYTICS_ENABLED")
    program = """
import flows
from huggingface_hub.constants import HF_HUB_DISABLE_TELEMETRY
from os import environ
from prefect.settings import get_current_settings
print(HF_HUB_DISABLE_TELEMETRY, get_current_settings().server.analytics_enabled, environ["DO_NOT_TRACK"])
"""
    environment = {name: value for name, value in os.environ.items() if name not in switches}
    said = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["True", "False", "1"]
