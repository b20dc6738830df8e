"""`flywheel mix` and `flywheel export-mixture`: what a person sees, and what lies in the lake afterwards."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner, Result

from configs.mistake import Mistake
from flows import cli
from storage.lake import Lake, LakeError
from storage.registry import Model, register
from storage.rewrite import drop
from storage.verdicts import Decision, decide
from tasks.lm.load import load_tokenizer
from tasks.lm.template import template_hash
from tests.rows import write
from tests.tasks.mix.lakes import BATCH, curate, talk
from tests.tiny_model import make_tiny_model


def flywheel(*arguments: str) -> Result:
    return CliRunner().invoke(cli.app, list(arguments), catch_exceptions=False)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    lake = Lake(str(tmp_path / "lake"))
    model = make_tiny_model(tmp_path / "model")
    write(lake, "sources", BATCH, [{"id": "1", "source": "app", "uri": "a", "start": 0, "end": 1}])
    rows = [*(talk(f"u{at}") for at in range(30)), talk("g", domain="general"), talk("bad", refusal=True)]
    curate(lake, rows)
    file = tmp_path / "config.yaml"
    select = "select: {perplexity_quantiles: [0, 1], max_template_share: 1}"
    file.write_text(f"lake: {lake.uri}\nmodel_name_or_path: {model}\nmix: {{{select}}}\n")
    return file


def test_a_dry_run_shows_each_source_and_writes_nothing(config: Path) -> None:
    lake = Lake(str(config.parent / "lake"))
    before = [(one.name, one.version) for one in lake.status()]
    shown = flywheel("mix", str(config), "--stage", "sft", "--dry-run")
    assert shown.exit_code == 0
    lines = {line.split()[0]: line for line in shown.stdout.splitlines() if line.strip()}
    assert "curated v1" in lines["general"]
    assert "tokens short" in lines["general"]
    assert "the rest" in lines["user"]
    assert "1 refusal" in shown.stdout
    assert [(one.name, one.version) for one in lake.status()] == before
    few = flywheel("mix", str(config), "--stage", "sft", "--dry-run", "--set", "mix.min_rows=99")
    assert "SFT would be skipped: 30 new rows, fewer than mix.min_rows = 99" in few.stdout
    assert "curated v1" in few.stdout
    assert flywheel("mix", str(config), "--stage", "sft", "--set", "mix.min_rows=99").stdout == few.stdout
    assert lake.read("manifests").collect().is_empty()


def test_a_dry_run_of_a_stage_that_answers_itself_leaves_room_for_the_answer(config: Path) -> None:
    room = ("--set", "train.grpo.max_length=130", "--set", "train.grpo.max_completion_length=120")
    asked = ("mix", str(config), "--stage", "grpo", "--set", "train.grpo.reward=exact", *room)
    assert "too_long" in flywheel(*asked, "--dry-run").stdout.replace(" ", "_")


def test_it_is_mixed_for_the_model_that_the_first_stage_trains(config: Path) -> None:
    lake, mix = Lake(str(config.parent / "lake")), ("mix", str(config), "--stage", "sft")
    flywheel(*mix)
    name = lake.read("manifests").collect()["batch"].item()
    folder = shutil.copytree(config.parent / "model", config.parent / "tuned")
    tuned = Model("sft-1", "lm", "sft", str(folder), template_hash(load_tokenizer(folder)), mixture=name)
    register(lake, tuned, batch=BATCH)
    decide(lake, Decision("sft-1", None, "promote", ["The first one."]), batch=BATCH)
    assert "SFT would be skipped: 0 new rows" in flywheel(*mix, "--dry-run").stdout
    assert "would be skipped" not in flywheel(*mix, "--dry-run", "--set", "train.start=base").stdout
    again = [*mix, "--set", "train.start=base", "--set", "template=alpaca"]
    dry, real = flywheel(*again, "--dry-run").stdout, flywheel(*again).stdout
    assert dry == real
    assert f"chat template {tuned.template_hash}" not in real


def test_a_mixture_whose_rows_were_all_erased_is_not_exported(config: Path, tmp_path: Path) -> None:
    lake = Lake(str(config.parent / "lake"))
    flywheel("mix", str(config), "--stage", "sft")
    name = lake.read("manifests").collect()["batch"].item()
    drop(lake, "mixtures", pl.col("id").is_not_null())
    with pytest.raises(LakeError, match=f"Of the mixture {name} in .* no row is left"):
        flywheel("export-mixture", str(tmp_path / "a.jsonl"), lake.uri, "--mixture", name)


def test_a_mixture_is_made_and_exported_with_its_manifest(config: Path, tmp_path: Path) -> None:
    lake = Lake(str(config.parent / "lake"))
    shown = flywheel("mix", str(config), "--stage", "sft")
    assert shown.exit_code == 0
    name = lake.read("manifests").collect()["batch"].item()
    assert name in shown.stdout
    register(lake, Model("sft-1", "lm", "sft", str(tmp_path), "t", mixture=name), batch=BATCH)
    decide(lake, Decision("sft-1", None, "promote", ["The first one."]), batch=BATCH)
    out = tmp_path / "sft.jsonl"
    assert "31 rows in" in flywheel("export-mixture", str(out), lake.uri, "--form", "openai").stdout
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert {row["messages"][-1]["role"] for row in rows} == {"assistant"}
    manifest = json.loads((tmp_path / "sft.manifest.json").read_text())
    assert (manifest["id"], manifest["rows"]) == (name, 31)
    assert manifest["template_hash"]


def test_without_a_mixture_it_says_how_to_get_one(config: Path, tmp_path: Path) -> None:
    lake = str(config.parent / "lake")
    with pytest.raises(LakeError, match=r"No mixture nosuch in .*; there are: none yet"):
        flywheel("export-mixture", str(tmp_path / "a.jsonl"), lake, "--mixture", "nosuch")
    with pytest.raises(LakeError, match="name one; `flywheel mix` makes some"):
        flywheel("export-mixture", str(tmp_path / "a.jsonl"), lake)
    with pytest.raises(Mistake, match="There is no stage tuning; there are: cpt, sft"):
        flywheel("mix", str(config), "--stage", "tuning", "--dry-run")
