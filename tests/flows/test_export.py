"""Exporting the champion: whole files, checked, with a card."""

from pathlib import Path

import pytest

from flows.export import export
from storage.lake import Lake, LakeError
from storage.registry import Model, register
from storage.verdicts import Decision, decide
from tasks.export.gguf import ExportError
from tasks.lm.load import load
from tasks.lm.named import with_template
from tasks.lm.template import TemplateError
from tests.tiny_model import make_tiny_model


def test_the_champion_is_exported_and_loads(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    path = make_tiny_model(tmp_path / "model")
    (path / "training.json").write_text('{"samples": ["what a user said"]}')
    register(lake, Model("base-1", "lm", "base", str(path), load(path).template_hash), batch="base")
    decide(lake, Decision("base-1", None, "promote", ["The first one."]), batch="base")
    found = export(lake, tmp_path / "out", kinds=["f16"])
    assert abs(found["f16"].divergence) < 1e-4
    assert not (tmp_path / "out" / "training.json").exists()
    assert "# base-1" in (tmp_path / "out" / "README.md").read_text()
    assert "FROM ./base-1-f16.gguf" in (tmp_path / "out" / "Modelfile").read_text()
    assert load(tmp_path / "out").template_hash == load(path).template_hash
    with pytest.raises(ExportError, match="No GGUF kind q3; there are: f16, q8_0"):
        export(lake, tmp_path / "out", kinds=["q3"])


def test_the_template_is_exported_for_servers_and_must_be_the_one_of_the_training(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"))
    path = with_template(make_tiny_model(tmp_path / "model"), "alpaca", tmp_path / "named")
    model = Model("base-1", "lm", "base", str(path), load(path).template_hash)
    register(lake, model, batch="base")
    export(lake, tmp_path / "out", "base-1", kinds=[])
    assert "generation %}" not in (tmp_path / "out" / "chat_template.jinja").read_text()
    assert load(tmp_path / "out").template_hash == model.template_hash
    with (path / "chat_template.jinja").open("a") as file:
        file.write("Bye.")
    with pytest.raises(TemplateError, match=r"is not the one that base-1 was trained with .*put it back"):
        export(lake, tmp_path / "out", "base-1", kinds=[])


def test_without_a_champion_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="no champion to export"):
        export(Lake(str(tmp_path / "lake")), tmp_path / "out")
