"""Tasks of the lm-evaluation-harness: local ones, offline, done by real models."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest
import yaml

from configs.evidence import EvaluateSettings, HarnessSettings, PromoteSettings
from configs.mistake import Mistake
from configs.settings import SelectSettings
from storage.evidence import Evidence
from storage.lake import Lake
from storage.publish import conform, publish
from storage.registry import Model
from tasks.evaluate.harness import find_tasks, open_benchmarks, refuse_unknown, score_benchmarks
from tasks.evaluate.task import evaluate
from tasks.lm.load import LanguageModel, load
from tasks.promote.evidence import Contest, gather, metrics
from tasks.promote.gate import judge
from tests.tiny_model import make_tiny_model

QUESTIONS = [f"Is {number} a number that customer {number * 7} of the notes app likes?" for number in range(24)]
NAMES = ("old", "new")
CHOICES = ["x", "z"]  # a token each


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Model]:
    """A model, and one that finds likely what the first one finds unlikely."""
    folder = tmp_path_factory.mktemp("models")
    other = load(make_tiny_model(folder / "old", hidden=32, layers=1))
    other.model.lm_head.weight.data.neg_()
    other.model.save_pretrained(folder / "new")
    other.tokenizer.save_pretrained(folder / "new")
    return {name: Model(name, "lm", "sft", str(folder / name), "t") for name in NAMES}


@pytest.fixture(scope="module")
def old(models: dict[str, Model]) -> LanguageModel:
    return load(models["old"].path)


def add_task(folder: Path, name: str, answers: Sequence[int | str], **fields: object) -> None:
    """A task of one's own: a YAML file, and a JSON file with its data."""
    data = folder / f"{name}.json"
    documents = [{"question": asked, "answer": told} for asked, told in zip(QUESTIONS, answers, strict=True)]
    data.write_text("\n".join(map(json.dumps, documents)))
    task = {
        "task": name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(data)}},
        "test_split": "test",
        "doc_to_text": "{{question}}",
        "doc_to_target": "{{answer}}",
    }
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(task | fields))


def add_choice(folder: Path, answers: Sequence[int]) -> None:
    scores = [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}]
    kind = {"output_type": "multiple_choice", "doc_to_choice": CHOICES, "target_delimiter": "", "metric_list": scores}
    add_task(folder, "choice", answers, **kind)


def add_writing(folder: Path, answers: Sequence[str]) -> None:
    scores = [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}]
    limits = {"until": ["\n\n"], "max_gen_toks": 4}
    add_task(folder, "writing", answers, output_type="generate_until", metric_list=scores, generation_kwargs=limits)


def chosen(lm: LanguageModel, folder: Path) -> list[int]:
    """What a model chooses: where it is right when the first choice always is."""
    add_choice(folder, [0] * len(QUESTIONS))
    settings = HarnessSettings(tasks=("choice",), include_path=str(folder))
    right = score_benchmarks(lm, open_benchmarks(settings, 1), settings, 1)["value"]
    return [0 if value else 1 for value in right]


def test_a_task_of_ones_own_guards_what_the_champion_can(
    tmp_path: Path, models: dict[str, Model], old: LanguageModel
) -> None:
    answers = chosen(old, tmp_path)
    add_choice(tmp_path, answers)
    add_writing(tmp_path, ["Nobody writes this."] * len(QUESTIONS))
    lake = Lake(str(tmp_path / "lake"))
    harness = HarnessSettings(tasks=("choice", "writing"), include_path=str(tmp_path))
    settings = EvaluateSettings(harness=harness)
    batch = evaluate.fn(lake, "0001", models["new"], models["old"], settings, SelectSettings(), 1)
    rows = lake.scan(batch).collect()
    assert rows.group_by("model", "metric").len()["len"].to_list() == [len(QUESTIONS)] * 4
    assert rows["group"].n_unique() == 2 * len(QUESTIONS)
    assert rows.filter(model="old", metric="task:choice")["value"].to_list() == [1.0] * len(QUESTIONS)
    assert rows.filter(metric="task:writing")["value"].unique().to_list() == [0.0]

    limits, contest = PromoteSettings(resamples=200), Contest("old", "new", "old", None)
    evidence = gather(rows, contest, limits, primary_confidence=0.95, seed=1)
    found = {metric.name: metric for metric in evidence.metrics}
    assert (found["task:choice"].passed, found["task:writing"].passed) == (False, True)
    verdict, reasons = judge(metrics(limits, contest, rows), evidence.metrics, min_items=10)
    assert verdict == "reject"
    assert reasons[0].startswith("Score on the task choice 1.000 -> 0.000 (worse by 1.000")
    assert Evidence.from_dict(evidence.to_dict()) == evidence


def test_scores_that_are_there_are_taken_over_until_the_data_changes(tmp_path: Path, models: dict[str, Model]) -> None:
    add_choice(tmp_path, [0, 1] * 12)
    lake = Lake(str(tmp_path / "lake"))
    settings = EvaluateSettings(harness=HarnessSettings(tasks=("choice",), include_path=str(tmp_path)))
    third = Model("third", "lm", "sft", models["new"].path, "t")
    reused = []
    for batch, challenger in (("0001", models["new"]), ("0002", third), ("0003", models["new"])):
        if batch == "0003":
            add_choice(tmp_path, [1, 0] * 12)
        evaluate.fn(lake, batch, challenger, models["old"], settings, SelectSettings(), 1)
        facts = dict(lake.read("books", batch=batch, step="evaluate").select("name", "value").collect().iter_rows())
        reused.append(facts["reused"])
    assert reused == [0, 24, 0]


def test_an_item_that_a_model_was_trained_on_is_no_test(tmp_path: Path, models: dict[str, Model]) -> None:
    add_choice(tmp_path, [0] * 24)
    lake = Lake(str(tmp_path / "lake"))
    asked = {"role": "user", "content": QUESTIONS[3].upper(), "name": None, "tool_calls": None, "tool_call_id": None}
    said = asked | {"role": "assistant", "content": "Other words."}
    row = pl.DataFrame([{"id": "row", "stage": "sft", "prompt": [asked], "completion": [said]}])
    publish(lake, "mixtures", conform("mixtures", row).drop("batch", "step"), step="mixtures", batch="m", key="ab" * 16)
    taught = Model("taught", "lm", "sft", models["new"].path, "t", mixture="m")
    settings = EvaluateSettings(harness=HarnessSettings(tasks=("choice",), include_path=str(tmp_path)))
    rows = lake.scan(evaluate.fn(lake, "0001", taught, models["old"], settings, SelectSettings(), 1)).collect()
    assert rows.group_by("model").len()["len"].to_list() == [23, 23]


def test_examples_templates_and_seeds_make_other_items(tmp_path: Path, old: LanguageModel) -> None:
    add_choice(tmp_path, [0, 1] * 12)
    base = HarnessSettings(tasks=("choice",), include_path=str(tmp_path), limit=5)
    changes = [{}, {"num_fewshot": 2}, {"apply_chat_template": False}]
    made = [(base.model_copy(update=change), seed) for change in changes for seed in (1, 2)]
    opened = [open_benchmarks(settings, seed) for settings, seed in made]
    assert len({item for benchmarks in opened for item in benchmarks[0].items["item"]}) == 5 * len(made)
    shots = made[2]
    scored = score_benchmarks(old, opened[2], *shots)
    assert scored.equals(score_benchmarks(old, open_benchmarks(*shots), *shots))
    assert len(opened[2][0].task.instances[0].args[0].split("<|im_start|>assistant")) == 4  # two examples, the question


def test_what_cannot_be_run_is_refused_with_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_choice(tmp_path, [0] * 24)
    text = [{"metric": "word_perplexity"}]
    add_task(tmp_path, "text", [""] * 24, output_type="loglikelihood_rolling", metric_list=text)
    add_choice(tmp_path, [0] * 24)
    gone = yaml.safe_load((tmp_path / "choice.yaml").read_text()) | {
        "task": "gone",
        "dataset_kwargs": {"data_files": {"test": str(tmp_path / "gone.json")}},
    }
    (tmp_path / "gone.yaml").write_text(yaml.safe_dump(gone))
    unsafe = yaml.safe_load((tmp_path / "choice.yaml").read_text()) | {"task": "unsafe", "unsafe_code": True}
    (tmp_path / "unsafe.yaml").write_text(yaml.safe_dump(unsafe))
    for name, words in (
        ("text", "has no score of single items"),
        ("gone", "gone cannot be opened: .*gone.json"),
        ("unsafe", "runs code that a model wrote"),
    ):
        with pytest.raises(Mistake, match=words):
            open_benchmarks(HarnessSettings(tasks=(name,), include_path=str(tmp_path)), 1)
    with pytest.raises(Mistake, match="there is no folder /nowhere"):
        find_tasks(HarnessSettings(tasks=("choice",), include_path="/nowhere"))
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    with pytest.raises(Mistake, match=r"pip install 'flywheel\[harness\]'"):
        find_tasks(HarnessSettings(tasks=("choice",)))


def test_a_metric_that_the_harness_does_not_know_is_not_fetched_from_the_hub(tmp_path: Path) -> None:
    add_task(tmp_path, "odd", [0, 1] * 12, output_type="generate_until", metric_list=[{"metric": "no_such_metric"}])
    with pytest.raises(Mistake, match="odd"):
        open_benchmarks(HarnessSettings(tasks=("odd",), include_path=str(tmp_path)), 1)


def test_a_task_that_nobody_knows_is_refused_with_its_likes() -> None:
    wrong = HarnessSettings(tasks=("arc_esy",), include_path="benchmarks")
    with pytest.raises(Mistake, match="no task arc_esy in the harness or in benchmarks; similar to it: arc_easy"):
        refuse_unknown(wrong, ["arc_easy", "gsm8k"])
