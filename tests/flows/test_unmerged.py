"""A model that is more than its weights is refused by whatever would take the weights alone for it."""

import sys
from pathlib import Path

import pytest

from configs.synthesis import SynthesizeSettings
from flows.export import export
from storage.lake import Lake
from storage.registry import Model, register
from tasks.inference.engines import open_engine
from tasks.lm.load import UNMERGED, UnmergedError, load_tokenizer
from tasks.lm.template import template_hash
from tests.tiny_model import make_tiny_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of a model with a learned prompt beside its weights."""
    made = make_tiny_model(tmp_path / "model", hidden=32, layers=1)
    (made / UNMERGED).mkdir()
    return made


def test_it_is_not_exported(tmp_path: Path, folder: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    register(lake, Model("sft-1", "lm", "sft", str(folder), template_hash(load_tokenizer(folder))), batch="b")
    with pytest.raises(UnmergedError, match="which cannot be merged into them: train with finetuning_type lora"):
        export(lake, tmp_path / "out", "sft-1")
    assert not (tmp_path / "out").exists()


def test_vllm_does_not_serve_it(folder: Path) -> None:
    settings = SynthesizeSettings(engine="vllm", vllm_python=sys.executable)
    with pytest.raises(UnmergedError, match="trained beside its weights"), open_engine(settings, str(folder)):
        pass
