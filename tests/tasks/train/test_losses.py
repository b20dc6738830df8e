"""Losses and masks of the stages agree with a direct calculation on two rows."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import logsigmoid

from tasks.lm.classify import load_classifier
from tasks.lm.load import load_tokenizer
from tasks.lm.template import TemplateError
from tasks.train import training
from tasks.train.job import Job
from tasks.train.launch import measured_in
from tasks.train.losses import distillation_loss, odds_ratio_loss
from tasks.train.stages import STAGES
from tasks.train.weights import load_trainable
from tests.tasks.train.cells import Models, make_models, settings_for
from tests.tasks.train.jobs import make_job, sums
from tests.tiny_model import make_tiny_model

ROWS = sums(2)
BETA = 0.1


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    return make_models(tmp_path_factory.mktemp("models"))


def two_rows(folder: Path, models: Models, stage: str, **changes: Any) -> Job:
    settings = settings_for(models, stage, "full", lr_scheduler_type="constant", **changes)
    return make_job(folder, models.parent, stage, ROWS, settings)


def losses(job: Job) -> list[float]:
    training.train(job)
    return [loss for _, loss in measured_in(job.output)["losses"]]


def read(tokenizer: Any, row: dict[str, Any], answer: str) -> tuple[torch.Tensor, int]:
    """The tokens of prompt and answer with its end of turn, and where the answer begins; written out by hand."""
    prompt = f"<|im_start|>user\n{row['prompt'][0]['content']}<|im_end|>\n<|im_start|>assistant\n"
    ids = tokenizer(f"{prompt}{row[answer][0]['content']}<|im_end|>", return_tensors="pt").input_ids
    return ids, len(tokenizer(prompt).input_ids)


def log_probabilities(folder: Path, answer: str) -> list[torch.Tensor]:
    """Of the tokens of each row's answer."""
    tokenizer, model = load_tokenizer(folder), load_trainable(str(folder)).eval()
    found = []
    for row in ROWS:
        ids, start = read(tokenizer, row, answer)
        with torch.no_grad():
            chances = model(ids).logits[0, start - 1 : -1].log_softmax(-1)
        found.append(chances.gather(1, ids[0, start:, None])[:, 0])
    return found


def test_sft_is_the_mean_over_all_tokens_of_answers(tmp_path: Path, models: Models) -> None:
    expected = -float(torch.cat(log_probabilities(models.parent, "completion")).mean())
    assert losses(two_rows(tmp_path / "sft", models, "sft"))[0] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("method", ["full", "lora"])
def test_dpo_compares_with_the_model_before_training(tmp_path: Path, models: Models, method: str) -> None:
    """The second step's loss, from the weights that the first one left."""
    changes = {"finetuning_type": method, "learning_rate": 1e-3}
    first = two_rows(tmp_path / "first", models, "dpo", max_steps=1, **changes)
    assert losses(first)[0] == pytest.approx(0.693147, abs=1e-4)  # policy and reference are equal yet
    gains = []
    for answer in ("chosen", "rejected"):
        pairs = zip(log_probabilities(first.output, answer), log_probabilities(models.parent, answer), strict=True)
        gains.append(torch.stack([now.sum() - before.sum() for now, before in pairs]))
    expected = -float(logsigmoid(BETA * (gains[0] - gains[1])).mean())
    found = losses(two_rows(tmp_path / "second", models, "dpo", max_steps=2, **changes))
    assert found[1] == pytest.approx(expected, rel=1e-4)
    assert found[1] < found[0] - 1e-3


def test_arguments_of_the_trainer_count_for_more_than_our_defaults(tmp_path: Path, models: Models) -> None:
    """Without a difference yet, the loss of IPO is 1 / (2 beta) squared; KTO's is its two weights' mean, halved."""
    ipo = [{"name": "loss_type", "value": "ipo"}]
    assert losses(two_rows(tmp_path / "dpo", models, "dpo", trainer_args=ipo))[0] == pytest.approx(25, rel=1e-3)
    weight = [{"name": "desirable_weight", "value": 3.0}]
    rows = [ROWS[0] | {"rejected": None}, ROWS[1] | {"chosen": None}]
    settings = settings_for(models, "kto", "full", trainer_args=weight, per_device_train_batch_size=2)
    found = losses(make_job(tmp_path / "kto", models.parent, "kto", rows, settings))[0]
    assert found == pytest.approx((3.0 + 1.0) / 2 / 2, rel=1e-3)


def test_orpo_is_cross_entropy_and_the_odds_ratio(tmp_path: Path, models: Models) -> None:
    chosen, rejected = (log_probabilities(models.parent, answer) for answer in ("chosen", "rejected"))
    chances = [torch.stack([row.mean() for row in rows]).exp() for rows in (chosen, rejected)]
    odds = [chance / (1 - chance) for chance in chances]
    expected = -torch.cat(chosen).mean() - BETA * logsigmoid(torch.log(odds[0] / odds[1])).mean()
    assert losses(two_rows(tmp_path / "orpo", models, "orpo"))[0] == pytest.approx(float(expected), rel=1e-4)


def test_distill_is_the_divergence_from_the_teacher_on_answers(tmp_path: Path, models: Models) -> None:
    tokenizer = load_tokenizer(models.parent)
    student, teacher = (load_trainable(str(folder)).eval() for folder in (models.parent, models.teacher))
    each = []
    for row in ROWS:
        ids, start = read(tokenizer, row, "completion")
        with torch.no_grad():
            ours, theirs = (model(ids).logits[0, start - 1 : -1].log_softmax(-1) for model in (student, teacher))
        each.append((theirs.exp() * (theirs - ours)).sum(-1))
    found = losses(two_rows(tmp_path / "distill", models, "distill"))
    assert found[0] == pytest.approx(float(torch.cat(each).mean()), rel=1e-3)


def test_a_reward_model_learns_to_score_the_better_answer_higher(tmp_path: Path, models: Models) -> None:
    job = two_rows(tmp_path / "reward", models, "reward", max_steps=1)
    found = losses(job)[0]
    torch.manual_seed(job.seed)  # of the new layer of scores
    model, tokenizer = load_trainable(str(models.parent), "SEQ_CLS").eval(), load_tokenizer(models.parent)
    model.config.pad_token_id = tokenizer.pad_token_id
    with torch.no_grad():
        scores = [
            [model(read(tokenizer, row, answer)[0]).logits[0, 0] for row in ROWS] for answer in ("chosen", "rejected")
        ]
    margins = torch.stack(scores[0]) - torch.stack(scores[1])
    assert found == pytest.approx(-float(logsigmoid(margins).mean()), rel=1e-3)
    trained = load_classifier(str(job.output))
    with torch.no_grad():
        now = [
            [trained.model(read(tokenizer, row, answer)[0]).logits[0, 0] for row in ROWS]
            for answer in ("chosen", "rejected")
        ]
    assert bool((torch.stack(now[0]) - torch.stack(now[1]) > margins).all())


@pytest.mark.parametrize(
    ("stage", "shown"),
    [
        ("cpt", "P«age 0: our printer has many trays.»"),
        ("sft", "<|im_start|>user\nHow many apples are 0 apples and one?<|im_end|>\n<|im_start|>assistant\n"
                "«1 apples.<|im_end|>»"),
        ("dpo", "<|im_start|>user\nHow many apples are 0 apples and one?<|im_end|>\n<|im_start|>assistant\n"
                "«1 apples.<|im_end|>»"),
        ("grpo", "<|im_start|>user\nHow many apples are 0 apples and one?<|im_end|>\n<|im_start|>assistant\n"),
    ],
)  # fmt: skip
def test_what_is_trained_on_is_answers_with_their_end_of_turn(models: Models, stage: str, shown: str) -> None:
    tokenizer = load_tokenizer(models.parent)
    example = STAGES[stage].encode(ROWS[0], tokenizer, settings_for(models, stage, "lora"))
    assert not isinstance(example, str)
    ids, trained = STAGES[stage].trained(example[0])
    assert masked(tokenizer.decode, ids, trained) == shown


def masked(decode: Callable[[list[int]], str], ids: list[int], trained: list[bool]) -> str:
    first = trained.index(True) if True in trained else len(ids)
    return decode(ids[:first]) + (f"«{decode(ids[first:])}»" if first < len(ids) else "")


def test_answers_that_end_without_a_token_of_their_own_are_refused(tmp_path: Path, models: Models) -> None:
    folder = make_tiny_model(tmp_path / "model", hidden=32, layers=1)
    template = folder / "chat_template.jinja"
    template.write_text(template.read_text().replace("<|im_end|>", " END"))
    job = make_job(tmp_path / "sft", folder, "sft", ROWS, settings_for(models, "sft", "lora"))
    with pytest.raises(TemplateError, match="would not learn to stop: let the template write eos_token"):
        training.train(job)
    training.train(make_job(tmp_path / "cpt", folder, "cpt", ROWS, settings_for(models, "cpt", "lora")))


def test_odds_near_one_and_near_nothing_stay_finite() -> None:
    ends = torch.tensor([-1e-9, -80.0], requires_grad=True)
    loss = odds_ratio_loss(ends, ends.flip(0))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(ends.grad).all()  # type: ignore[arg-type]


def test_a_higher_temperature_keeps_the_size_of_gradients() -> None:
    sizes = []
    for temperature in (1.0, 4.0):
        student = (torch.arange(8.0).reshape(2, 4) / 10).requires_grad_()
        distillation_loss(student, torch.zeros(2, 4), temperature).backward()
        sizes.append(float(student.grad.norm()))  # type: ignore[union-attr]
    assert sizes[1] == pytest.approx(sizes[0], rel=0.1)


def test_a_long_row_is_told_apart_from_one_with_nothing_to_train(tmp_path: Path, models: Models) -> None:
    """Both are left out, each counted under its own reason."""
    long = ROWS[0] | {"completion": [{"role": "assistant", "content": "on and on " * 40}]}
    rows = [*ROWS, long, long, ROWS[0] | {"completion": []}]
    job = make_job(tmp_path / "rows", models.parent, "sft", rows, settings_for(models, "sft", "lora"))
    training.train(job)
    measured = measured_in(job.output)
    assert measured["left_out"] == {"too_long": 2, "nothing_to_train": 1}
    assert measured["rows"] == 2
