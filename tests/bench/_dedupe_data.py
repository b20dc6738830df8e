"""Texts for the dedupe benchmark: the real prompts, and any number of made ones with the words of the real ones."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
from deltalake import write_deltalake

from storage.lake import Lake
from storage.publish import conform

SHARED = Path(__file__).parents[3] / "shared" / "data"
PHRASE = 5  # words
PHRASES = 300_000
EXACT, NEAR = 0.1, 0.1  # shares of made texts that repeat an earlier one
CHUNK = 50_000


class MissingDataError(Exception):
    """The real prompts are not there."""


def real_texts(count: int | None = None) -> pl.DataFrame:
    """id and text of the prompts of t0 and gsm8k, in an order of their own.

    Raises:
        MissingDataError: shared/data is not there.
    """
    texts = []
    for name, field in (("prompts_t0.jsonl.gz", "prompt"), ("gsm8k_train.jsonl.gz", "question")):
        if not (SHARED / name).exists():
            raise MissingDataError(f"The dedupe benchmark reads {name}, which is not in {SHARED}.")
        with gzip.open(SHARED / name, "rt") as lines:
            texts += [json.loads(line)[field] for line in lines]
    frame = pl.DataFrame({"id": [f"{number:08d}" for number in range(len(texts))], "text": texts})
    return frame.sample(count or frame.height, shuffle=True, seed=1)


def edited_texts(count: int) -> pl.DataFrame:
    """Real texts, a fifth of them changed copies of others: words dropped, added, swapped, numbers changed."""
    real = real_texts(count - count // 5)
    random = np.random.default_rng(2)
    copies = []
    for text in real["text"].sample(count // 5, seed=3):
        words = text.split()
        for _ in range(random.integers(1, 4)):
            place = int(random.integers(0, len(words)))
            match random.integers(0, 5):
                case 0:
                    del words[place]
                case 1:
                    words.insert(place, str(random.choice(["really", "the", "3", "not", "blue"])))
                case 2:
                    words[place : place + 2] = words[place : place + 2][::-1]
                case 3:
                    words[place] = words[place].upper() + ","
                case _:
                    words.append(words[place])
            words = words or ["empty"]
        copies.append(" ".join(words))
    made = pl.DataFrame({"id": [f"copy{number:07d}" for number in range(len(copies))], "text": copies})
    return pl.concat([real, made]).sample(fraction=1, shuffle=True, seed=4)


def made_texts(count: int, seed: int) -> Iterator[pl.DataFrame]:
    """Frames of id and text: 10 to 300 words in phrases of the real prompts, a tenth exact and a tenth near copies."""
    words = np.array(" ".join(real_texts(4000)["text"]).split(), object)
    random = np.random.default_rng(seed)
    places = random.integers(0, len(words) - PHRASE, PHRASES)
    phrases = pl.Series([" ".join(words[place : place + PHRASE]) for place in places])
    for begin in range(0, count, CHUNK):
        size = min(CHUNK, count - begin)
        lengths = np.minimum(2 + random.geometric(1 / 14, size), 60)
        chosen = pl.DataFrame({"text": np.repeat(np.arange(size), lengths)}).with_columns(
            phrase=phrases.gather(random.integers(0, PHRASES, lengths.sum()))
        )
        texts = chosen.group_by("text", maintain_order=True).agg(pl.col("phrase").str.join(" "))["phrase"]
        kind, source = random.random(size), random.integers(0, max(size // 2, 1), size)
        frame = pl.DataFrame({"text": texts, "copy": texts.gather(source), "kind": kind}).select(
            text=pl.when(pl.col("kind") < EXACT)
            .then(pl.col("copy").str.to_uppercase())
            .when(pl.col("kind") < EXACT + NEAR)
            .then(pl.col("copy") + " indeed")
            .otherwise("text")
        )
        yield frame.with_columns(id=pl.format("{}-{}", pl.lit(seed), pl.int_range(begin, begin + size)))


def collect(lake: Lake, batch: str, frames: Iterator[pl.DataFrame]) -> None:
    """Put texts into a lake as a batch of interactions."""
    delta = lake.ensure("interactions")
    for frame in frames:
        user = pl.struct(role=pl.lit("user"), content="text", name=None, tool_calls=None, tool_call_id=None)
        rows = frame.select(
            "id",
            batch=pl.lit(batch),
            step=pl.lit("collect"),
            kind=pl.lit("conversation"),
            messages=pl.concat_list(user),
            consent=pl.lit(True),
        )
        write_deltalake(delta, conform("interactions", rows), mode="append")
