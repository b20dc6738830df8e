"""Tasks of the lm-evaluation-harness, its own or a team's: both models do the same items, and each gets a score.

An item's name is a hash of all that its score depends on, so a score that is there already can be taken over.
Source: https://github.com/EleutherAI/lm-evaluation-harness (Gao et al. 2024, https://zenodo.org/records/12608602).
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.util import find_spec
from numbers import Real
from pathlib import Path
from typing import Any

import polars as pl
from transformers import set_seed

from configs.evidence import HarnessSettings
from configs.mistake import Mistake
from storage.columns import MESSAGES
from storage.evidence import TASK
from storage.snapshot import digest
from tasks.evaluate.items import ITEM
from tasks.evaluate.score import SCORE, score_rows
from tasks.lm.load import LanguageModel

BATCH = 8
UNREADABLE = (KeyError, ValueError, TypeError, AttributeError, ImportError, OSError)
"""What the harness raises where a task's YAML, functions or data cannot be had."""


@dataclass(frozen=True)
class Benchmark:
    """A task with its data.

    Args:
        metric: of its rows in `evaluations`; tasks of one group share it.
        task: the harness's object.
        items: of schema `ITEM`, in the order of the task's documents; `messages` is the question.
    """

    metric: str
    task: Any
    items: pl.DataFrame


def find_tasks(settings: HarnessSettings) -> Any:
    """The harness's index of tasks, which has all those of the settings; nothing is read but YAML files.

    Raises:
        Mistake: the harness is not installed, there is no such folder, or no such task.
    """
    if find_spec("lm_eval") is None:
        raise Mistake("evaluate.harness needs lm-eval, which is not installed: pip install 'flywheel[harness]'.")
    os.environ["HF_EVALUATE_OFFLINE"] = "1"  # a metric that it does not know would be code from the hub
    from lm_eval.tasks import TaskManager

    if settings.include_path is not None and not Path(settings.include_path).is_dir():
        raise Mistake(
            f"evaluate.harness.include_path: there is no folder {settings.include_path}; name the one with the YAML "
            "files of your tasks."
        )
    index = TaskManager(include_path=settings.include_path, include_defaults=False)
    if not set(settings.tasks) <= set(index.all_tasks):  # to read its own thousands of files takes half a minute
        index = TaskManager(include_path=settings.include_path)
    refuse_unknown(settings, index.all_tasks)
    return index


def refuse_unknown(settings: HarnessSettings, known: Sequence[str]) -> None:
    """See that every task of the settings is one.

    Args:
        settings: which tasks.
        known: names of all tasks that there are.

    Raises:
        Mistake: names the one that is not, and what is spelled like it.
    """
    for name in settings.tasks:
        if name not in known:
            near = ", ".join(get_close_matches(name, known)) or "nothing"
            where = f" or in {settings.include_path}" if settings.include_path else ""
            raise Mistake(f"evaluate.harness.tasks: no task {name} in the harness{where}; similar to it: {near}.")


def open_benchmarks(settings: HarnessSettings, seed: int) -> list[Benchmark]:
    """Every task of the settings with its data; no code of the hub is run.

    Args:
        settings: which tasks, and how they are asked.
        seed: of the choice of solved examples.

    Raises:
        Mistake: see `find_tasks`; or a task cannot be read, or cannot be compared by single items.
    """
    if not settings.tasks:
        return []
    index = find_tasks(settings)
    return [
        Benchmark(TASK + name, task, _items(TASK + name, task, settings, seed))
        for name in settings.tasks
        for task in _open(index, name, settings)
    ]


def score_benchmarks(
    lm: LanguageModel, benchmarks: Sequence[Benchmark], settings: HarnessSettings, seed: int
) -> pl.DataFrame:
    """Let a model do tasks.

    Args:
        lm: the model.
        benchmarks: the tasks.
        settings: how they are asked.
        seed: of the choice of solved examples, and of sampling where a task samples.

    Returns:
        Rows of schema `SCORE`: of each item the first score that its task names.
    """
    if not benchmarks:
        return pl.DataFrame(schema=SCORE)
    # Not simple_evaluate, which looks through the machine's hardware and packages for minutes after each task.
    from lm_eval.evaluator import evaluate
    from lm_eval.models.huggingface import HFLM

    model = HFLM(pretrained=lm.model, tokenizer=lm.tokenizer, batch_size=BATCH)
    rows = []
    for benchmark in benchmarks:
        set_seed(seed)
        benchmark.task.set_fewshot_seed(seed)
        found = evaluate(
            lm=model,
            task_dict={"tasks": {benchmark.metric: benchmark.task}},
            limit=settings.limit,
            bootstrap_iters=0,
            apply_chat_template=settings.apply_chat_template,
            fewshot_as_multiturn=True,
        )
        samples = found["samples"][benchmark.metric]
        # One sample for each item and each way to read its answer (a filter), of which the first counts.
        values = {one["doc_id"]: _value(benchmark, one) for one in samples if one["filter"] == samples[0]["filter"]}
        rows.append(score_rows(benchmark.metric, benchmark.items["item"], [values[at] for at in sorted(values)], 1.0))
    return pl.concat(rows)


def _open(index: Any, name: str, settings: HarnessSettings) -> Iterator[Any]:
    """The tasks that a name stands for."""
    try:
        tasks = index.load([name])["tasks"]
    except UNREADABLE as error:
        raise Mistake(f"evaluate.harness.tasks: {name} cannot be opened: {error}") from error
    for task in tasks.values():
        if not _scores(task):
            raise _incomparable(name)
        if getattr(task, "UNSAFE_CODE", False) or getattr(task, "MULTIMODAL", False):
            raise Mistake(
                f"evaluate.harness.tasks: {name} runs code that a model wrote, or shows it pictures or sounds, which "
                "Flywheel does not do; leave it out."
            )
        if settings.num_fewshot is not None and task.config.num_fewshot != 0:
            task.set_config(key="num_fewshot", value=settings.num_fewshot)
        yield task


def _items(metric: str, task: Any, settings: HarnessSettings, seed: int) -> pl.DataFrame:
    documents = [document for _, document in task.doc_iterator(limit=settings.limit)]
    examples = list(task.fewshot_docs()) if task.config.num_fewshot else []
    told = [task.dump_config(), settings.apply_chat_template, seed, documents, examples]
    name = digest(metric, json.dumps(told, sort_keys=True, default=str))[:24]
    questions = [text if isinstance(text := task.doc_to_text(one), str) else "" for one in documents]
    names = pl.Series([f"{name}-{at}" for at in range(len(documents))], dtype=pl.String)
    messages = pl.Series([[{"role": "user", "content": question}] for question in questions], dtype=MESSAGES)
    rows = pl.DataFrame({"item": names, "messages": messages}).with_columns(
        metric=pl.lit(metric),
        group="item",
        **{column: pl.lit(None) for column in ("since", "language", "domain", "source", "rejected")},
    )
    return rows.select(pl.col(column).cast(kind) for column, kind in ITEM.items())


def _value(benchmark: Benchmark, sample: Mapping[str, Any]) -> float:
    for score in _scores(benchmark.task):
        if isinstance(value := sample.get(score), Real):
            return float(value)
    raise _incomparable(benchmark.metric.removeprefix(TASK))


def _scores(task: Any) -> list[str]:
    """Scores that are the better the higher they are, in the order in which the task names them."""
    return [name for name, higher in task.higher_is_better().items() if higher]


def _incomparable(name: str) -> Mistake:
    return Mistake(
        f"evaluate.harness.tasks: {name} has no score of single items that is the better the higher it is (as acc and "
        "exact_match are); give it one in its metric_list, or leave it out."
    )
