"""A training says how far it is, keeps its losses, and stops when the loss is no number any more."""

import json
import logging
import math
import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from typing_extensions import override

from tasks.train.job import TrainingError

log = logging.getLogger(__name__)


class StepReport(TrainerCallback):
    """Logs `step i/n`, loss, speed and the time left; writes each step's figures as a line of JSON.

    Args:
        file: where the lines go; a resumed training adds to it.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._start: tuple[float, int, int] | None = None

    @override
    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if state.is_world_process_zero and self._file.exists():
            self._forget_after(state.global_step)
        self._start = (time.monotonic(), state.global_step, int(state.num_input_tokens_seen))

    @override
    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any) -> None:
        logs: dict[str, float] = given.get("logs") or {}
        if "loss" not in logs or self._start is None:
            return  # after the last step the trainer logs a summary
        loss = float(logs["loss"])
        if not math.isfinite(loss):
            raise TrainingError(
                f"The loss is {loss} at step {state.global_step}: lower train.<stage>.learning_rate, "
                "or look for broken rows in the mixture."
            )
        if not state.is_world_process_zero:
            return
        began, first_step, first_tokens = self._start
        seconds = max(time.monotonic() - began, 1e-9)
        speed = (state.num_input_tokens_seen - first_tokens) / seconds
        left = seconds / max(state.global_step - first_step, 1) * (state.max_steps - state.global_step)
        figures = {name: value for name, value in logs.items() if isinstance(value, int | float)}
        own = {"step": state.global_step, "steps": state.max_steps}
        line = {**own, "tokens_per_second": round(speed, 1), "seconds_left": round(left, 1), **figures}
        with self._file.open("a") as out:
            out.write(json.dumps(line) + "\n")
        log.info(
            "step %d/%d, loss %.4f, %s tokens/s, %.0f s left",
            state.global_step,
            state.max_steps,
            loss,
            f"{speed:,.0f}",
            left,
        )

    def _forget_after(self, step: int) -> None:
        """Steps that were done after the checkpoint are done again, and written again; a line may be half written."""
        kept = [
            line
            for line in self._file.read_text().splitlines()
            if line.endswith("}") and json.loads(line)["step"] <= step
        ]
        self._file.write_text("".join(f"{line}\n" for line in kept))
