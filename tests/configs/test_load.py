"""Config files: what is right loads; what is wrong is named in one sentence."""

from pathlib import Path

import pytest

from configs.load import SettingsError, load


def write(folder: Path, text: str) -> Path:
    file = folder / "config.yaml"
    file.write_text(text)
    return file


def test_ready_configs_load() -> None:
    for file in Path("configs").glob("*.yaml"):
        if file.name != "nightly.yaml":  # its sources are the reader's own
            assert load(file).lake


def test_overrides_win_and_are_yaml(tmp_path: Path) -> None:
    file = write(tmp_path, "seed: 1\ntrain: {sft: {max_steps: 3}}\n")
    settings = load(file, ["seed=2", "train.sft.learning_rate=1e-3", "scrub.allow=[Lumen]"])
    assert (settings.seed, settings.train.sft.max_steps, settings.train.sft.learning_rate) == (2, 3, 1e-3)
    assert settings.scrub.allow == ("Lumen",)


def test_one_stage_setting_keeps_the_defaults_of_its_stage(tmp_path: Path) -> None:
    default = load(write(tmp_path, "")).train.dpo
    changed = load(write(tmp_path, "train: {dpo: {max_steps: 3}}")).train.dpo
    assert changed == default.model_copy(update={"max_steps": 3})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("trian: {}", ["trian", "config.yaml", "did you mean train?", "accepted: lake"]),
        ("train: {sft: {learning_rte: 1}}", ["train.sft.learning_rte", "learning_rate", "lora_r"]),
        ("mix: {max_rows: many}", ["mix.max_rows", "valid integer", "'many'"]),
        ("synthesize: {engine: magic}", ["synthesize.engine", "'openai', 'vllm' or 'transformers'", "'magic'"]),
        ("split: {holdout_share: 2}", ["split.holdout_share", "less than 1"]),
        ("collect: {sources: [{name: a, path: nowhere/*.jsonl}]}", ["collect.sources.0.path", "nowhere", "glob"]),
        ("collect: {sources: [{name: a, path: ., fromat: x}]}", ["collect.sources.0.fromat", "format"]),
        ("collect: {sources: [{name: a, path: .}, {name: a, path: .}]}", ["two sources are named a"]),
        (
            "collect: {sources: [{name: a, path: ., format: feedback}]}",
            ["collect in", "config.yaml: source a holds feedback only", "`about:`"],
        ),
        ("- a", ["config.yaml", "keys and values"]),
        ("a: [", ["config.yaml", "not YAML"]),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(SettingsError) as caught:
        load(write(tmp_path, text))
    assert all(word in str(caught.value) for word in words), caught.value
    assert len(str(caught.value).splitlines()) == 1


def test_every_mistake_of_a_file_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load(write(tmp_path, "trian: {}\nseed: -1"))
    assert len(str(caught.value).splitlines()) == 2


def test_a_missing_file_names_the_ready_ones(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"quickstart\.yaml"):
        load(tmp_path / "none.yaml")


@pytest.mark.parametrize("text", ["seed", "=3"])
def test_a_broken_override_shows_how_to_write_one(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match=r"section\.key=value"):
        load(write(tmp_path, ""), [text])
