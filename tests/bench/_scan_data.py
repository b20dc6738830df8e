"""Logs for the scan benchmark: a year of eight products' traffic, in text that compresses like English.

Words follow each other as they do in the documentation of NumPy and SciPy (a Markov chain over its words), so no
sentence is there twice. As products do, every request of a conversation is logged with all turns before it.
"""

import ast
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import scipy

DOMAINS, MONTHS = 8, 12
TURNS = (0.5, 0.3, 0.2)  # shares of conversations with one, two and three questions
ASKED, ANSWERED, SYSTEM = (20, 60), (60, 180), 60  # words
BYTES = 3_900  # of a conversation's lines, about: how many are needed for so many bytes


@dataclass(frozen=True)
class Chain:
    """Words, and for each of them all words that follow it somewhere."""

    words: pl.Series
    starts: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    following: npt.NDArray[np.int64]

    def texts(self, lengths: npt.NDArray[np.int64], seed: int) -> pl.Series:
        """As many texts, of so many words."""
        random = np.random.default_rng(seed)
        longest = int(lengths.max())
        drawn = np.empty((len(lengths), longest), np.int32)
        current = random.integers(0, len(self.words), len(lengths))
        for step in range(longest):
            place = (random.random(len(lengths)) * self.counts[current]).astype(np.int64)
            current = self.following[self.starts[current] + place]
            drawn[:, step] = current
        flat = drawn[np.arange(longest) < lengths[:, None]]
        owner = np.repeat(np.arange(len(lengths)), lengths)
        frame = pl.DataFrame({"owner": owner, "word": self.words.gather(flat)})
        return frame.group_by("owner", maintain_order=True).agg(pl.col("word").str.join(" "))["word"]


@cache
def chain() -> Chain:
    """The chain of the documentation's words."""
    found = pl.Series(" ".join(_documentation()).split())
    words = found.filter(found.str.contains(r"^[A-Za-z][a-z'-]*[.,;:?]?$"))
    ranks = words.rank("dense").to_numpy().astype(np.int64) - 1
    tokens = np.append(ranks, ranks[0])  # the last word is followed by the first one
    counts = np.bincount(tokens[:-1])
    order = np.argsort(tokens[:-1], kind="stable")
    return Chain(words.unique().sort(), np.cumsum(counts) - counts, counts, tokens[order + 1])


def _documentation() -> list[str]:
    found = []
    for package in (np, scipy):
        for file in sorted(Path(str(package.__file__)).parent.rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
                    found.append(ast.get_docstring(node) or "")
    return found


def write_logs(folder: Path, total: int) -> dict[str, int]:
    """Write a log for each domain, `total` bytes together; the sizes of domains follow Zipf's law.

    Returns:
        Bytes by domain, the largest first.
    """
    shares = 1 / np.arange(1, DOMAINS + 1)
    sizes = {}
    for number, share in enumerate(shares / shares.sum()):
        file = folder / f"domain-{number}.jsonl"
        _write(file, f"domain-{number}", int(total * share / BYTES), seed=number)
        sizes[file.stem] = file.stat().st_size
    return sizes


def _write(file: Path, domain: str, conversations: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    turns = random.choice(len(TURNS), conversations, p=TURNS) + 1
    count = int(turns.sum())
    system = chain().texts(np.array([SYSTEM]), seed)[0]
    times = np.sort(random.integers(0, 365 * 86400, conversations))  # seconds since the beginning of 2025
    turn = pl.DataFrame(
        {
            "conversation": np.repeat(np.arange(conversations), turns),
            "asked": chain().texts(random.integers(*ASKED, count), seed + 100),
            "answer": chain().texts(random.integers(*ANSWERED, count), seed + 200),
        }
    ).with_columns(nth=pl.int_range(pl.len()).over("conversation"))
    begun = pl.Series(times).gather(turn["conversation"]) + 60 * turn["nth"]
    lines = turn.with_columns(
        at=pl.lit("2025-01-01").str.to_datetime() + pl.duration(seconds=pl.lit(begun)),
        question=pl.concat_str(pl.lit('{"role": "user", "content": "'), "asked", pl.lit('"}')),
        reply=pl.concat_str(pl.lit('{"role": "assistant", "content": "'), "answer", pl.lit('"}')),
    )
    both = pl.concat_str("question", pl.lit(", "), "reply", pl.lit(", "))
    lines = lines.with_columns(before=both.shift(1, fill_value="").over("conversation"))
    lines = lines.with_columns(
        before=pl.when(pl.col("nth") == 2)
        .then(pl.concat_str(pl.col("before").shift(1).over("conversation"), "before"))
        .otherwise(pl.when(pl.col("nth") == 1).then("before").otherwise(pl.lit("")))
    )
    said = json.dumps({"role": "system", "content": system})
    number = pl.int_range(pl.len()).cast(pl.String)
    line = pl.concat_str(
        pl.lit('{"timestamp": "'), pl.col("at").dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
        pl.lit(f'", "workload_id": "{domain}", "client_id": "client-'), pl.col("conversation") % 5000,
        pl.lit('", "request": {"model": "assistant-1", "messages": [' + said + ", "), "before", "question",
        pl.lit(f'], "temperature": 0.3}}, "response": {{"id": "chatcmpl-{domain}-'), number,
        pl.lit('", "created": '), pl.col("at").dt.epoch("s"),
        pl.lit(', "model": "assistant-1", "choices": [{"index": 0, "message": '), "reply",
        pl.lit(', "finish_reason": "stop"}], "usage": {"prompt_tokens": '), pl.col("asked").str.len_chars() // 4,
        pl.lit(', "completion_tokens": '), pl.col("answer").str.len_chars() // 4, pl.lit("}}}"),
    )  # fmt: skip
    lines.select(line.alias("line")).write_csv(file, include_header=False, quote_style="never")
