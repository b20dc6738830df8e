"""Exported files are loaded again and compared with the model they were made from."""

import json
from pathlib import Path

import pytest

from tasks.export.check import difference
from tasks.export.gguf import ExportError, write_gguf
from tasks.export.modelfile import modelfile
from tasks.lm.load import load_tokenizer
from tests.tiny_model import make_tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("export") / "model")


@pytest.mark.parametrize(("kind", "most"), [("f16", 1e-5), ("q8_0", 1e-3)])
def test_the_exported_model_predicts_the_same_tokens(model: Path, tmp_path: Path, kind: str, most: float) -> None:
    file = tmp_path / f"model-{kind}.gguf"
    write_gguf(model, file, kind)
    found = difference(model, file)
    assert abs(found.divergence) < most
    assert found.agreement > 0.9
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_eight_bits_are_smaller(model: Path, tmp_path: Path) -> None:
    sizes = {}
    for kind in ("f16", "q8_0"):
        write_gguf(model, tmp_path / kind, kind)
        sizes[kind] = (tmp_path / kind).stat().st_size
    assert sizes["q8_0"] < 0.9 * sizes["f16"]


def test_another_model_is_noticed(model: Path, tmp_path: Path) -> None:
    other = make_tiny_model(tmp_path / "other", seed=5)
    write_gguf(other, tmp_path / "other.gguf", "f16")
    assert difference(model, tmp_path / "other.gguf").divergence > 0.01


def test_an_unknown_architecture_says_what_to_do(model: Path, tmp_path: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"model_type": "gpt_neox"}))
    with pytest.raises(ExportError, match="not gpt_neox: convert"):
        write_gguf(tmp_path, tmp_path / "model.gguf", "f16")


def test_a_modelfile_names_file_template_and_stop(model: Path) -> None:
    text = modelfile("model-q8_0.gguf", load_tokenizer(model))
    assert text.startswith("FROM ./model-q8_0.gguf\n")
    assert 'PARAMETER stop "<|im_end|>"' in text
    assert "{{ .Role }}" in text
