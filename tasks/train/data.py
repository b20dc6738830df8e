"""From the rows of a mixture to what a trainer reads, with every row that is left out counted."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from datasets import Dataset

from configs.settings import StageSettings
from tasks.train.devices import world
from tasks.train.job import TrainingError
from tasks.train.order import epochs, reading_order
from tasks.train.stages.contract import Example, Stage
from tasks.train.stages.packing import pack

SHOWN = 3
"""Samples that are shown."""
SHOWN_CHARS = 400


@dataclass(frozen=True)
class TrainingData:
    """The examples of a training.

    Args:
        examples: as the stage's trainer reads them, one after the other, for all passes.
        passes: how often each is in there.
        rows: rows of the mixture that they come from.
        packs: what these are packed into; None without packing.
        left_out: rows left out, by reason.
        trained_tokens: tokens that the loss is on, once through.
        samples: a few examples as text, trained parts in « ».
    """

    examples: Dataset
    passes: float
    rows: int
    packs: int | None
    left_out: Mapping[str, int]
    trained_tokens: int
    samples: Sequence[str]


def training_data(
    stage: Stage, rows: Iterable[Mapping[str, Any]], tokenizer: Any, settings: StageSettings, seed: int
) -> TrainingData:
    """Encode the rows of a mixture for a stage, and put them in order.

    Raises:
        TrainingError: no row is left.
    """
    examples: list[Example] = []
    left_out: Counter[str] = Counter()
    used = 0
    for row in rows:
        encoded = stage.encode(row, tokenizer, settings)
        if isinstance(encoded, str):
            left_out[encoded] += 1
        else:
            used += 1
            examples += encoded
    if not examples:
        reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.items()) or "it is empty"
        raise TrainingError(f"No row can be trained on ({reasons}); max_length is {settings.max_length}.")
    read = pack(examples, settings.max_length) if settings.packing else examples
    passes = epochs(settings, used, len(read))
    lengths = [len(stage.trained(example)[0]) for example in read]
    order = reading_order(lengths, settings.rows_per_batch * world(), passes, seed)
    columns = Dataset.from_dict({name: [example[name] for example in read] for name in read[0]})
    return TrainingData(
        examples=columns.select(order),
        passes=passes,
        rows=used,
        packs=len(read) if settings.packing else None,
        left_out=dict(left_out),
        trained_tokens=sum(sum(stage.trained(example)[1]) for example in examples),
        samples=[masked_text(tokenizer, *stage.trained(example)) for example in examples[:SHOWN]],
    )


def masked_text(tokenizer: Any, ids: Sequence[int], trained: Sequence[bool]) -> str:
    """An example as the model reads it, trained parts in « »; the middle of a long one is left out."""
    parts = []
    start = 0
    for end in range(1, len(ids) + 1):
        if end == len(ids) or trained[end] != trained[start]:
            text = tokenizer.decode(ids[start:end])
            parts.append(f"«{text}»" if trained[start] else text)
            start = end
    text = "".join(parts)
    half = SHOWN_CHARS // 2
    return text if len(text) <= SHOWN_CHARS else f"{text[:half]} ... {text[-half:]}"
