"""What GRPO and RLOO share: prompts that the model answers several times, in this process, and a reward each."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from transformers import Trainer, TrainingArguments

from configs.training import OnlineSettings
from tasks.lm.template import clean_messages, render
from tasks.train.devices import world
from tasks.train.job import TrainingError
from tasks.train.rewards import reward_for, usable
from tasks.train.stages.contract import Example, Setup, Stage


class ReadyPrompts:
    """Lets a trainer of TRL take prompts that are tokens already: those that every other step sees."""

    def _tokenize_prompts(self, prompts: list[list[int]]) -> tuple[list[list[int]], None, dict[str, Any]]:
        return prompts, None, {}


def encode(row: Mapping[str, Any], tokenizer: Any, settings: OnlineSettings) -> Sequence[Example] | str:
    """The prompt with the opening of the answer; its messages and the reference answer for the reward."""
    reference = str(row["completion"][-1]["content"]) if row.get("completion") else ""
    if not usable(settings.reward, reference):
        return "no_reference"
    text = render(tokenizer, row["prompt"], generation=True)
    ids = list(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])
    if len(ids) > settings.row_tokens:
        return "too_long"
    return [{"prompt": ids, "messages": json.dumps(clean_messages(row["prompt"])), "reference": reference}]


def trained(example: Example) -> tuple[list[int], list[bool]]:
    """Nothing of the prompt is trained on; what is, the model writes itself."""
    return example["prompt"], [False] * len(example["prompt"])


def options(setup: Setup) -> dict[str, Any]:
    """Arguments of either trainer.

    Raises:
        TrainingError: the rows do not fill one step.
    """
    settings = setup.settings
    assert isinstance(settings, OnlineSettings)
    prompts = settings.rows_per_batch * settings.gradient_accumulation_steps * world()
    if setup.examples.num_rows < prompts:
        raise TrainingError(
            f"A step answers {prompts} prompts, and there are {setup.examples.num_rows}: lower "
            "per_device_train_batch_size or gradient_accumulation_steps."
        )
    return {
        **setup.arguments,
        "num_generations": settings.num_generations,
        "max_completion_length": settings.max_completion_length,
        "temperature": settings.temperature,
        "beta": settings.beta,
        "shuffle_dataset": False,  # the rows are in order already
    }


def reward_function(setup: Setup) -> Any:
    """The reward in the form that TRL calls, which names it on its logs."""
    settings = setup.settings
    assert isinstance(settings, OnlineSettings)
    rewards = reward_for(settings.reward, settings.max_length)

    def reward(completions: Sequence[str], messages: Sequence[str], reference: Sequence[str], **_: Any) -> list[float]:
        return rewards(messages, completions, reference)

    return reward


def online_stage(name: str, trainer: Callable[..., Trainer], config: type[TrainingArguments]) -> Stage:
    """A stage by one of TRL's trainers, on ready-made tokens; generation in this process."""

    def made(setup: Setup) -> Trainer:
        return trainer(
            model=setup.model,
            reward_funcs=reward_function(setup),
            args=config(**options(setup)),
            train_dataset=setup.examples,
            processing_class=setup.tokenizer,
            peft_config=setup.peft_config,
            callbacks=setup.callbacks,
        )

    return Stage(name, encode, trained, made, config, pace=0.1)
