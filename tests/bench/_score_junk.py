"""Do the signals tell junk from real prompts? Junk of five kinds is made from real texts."""

import random
import string
from collections.abc import Callable

import numpy as np
import polars as pl
from scipy.stats import rankdata

from tasks.lm.likelihood import likelihoods
from tasks.lm.load import LanguageModel
from tasks.lm.template import encode
from tasks.text import signals
from tasks.text.language import detect
from tests.bench._score_data import chinese, prompts
from tests.bench._table import show

MAX_TOKENS = 48


def shuffled(text: str, rng: random.Random) -> str:
    words = text.split()
    rng.shuffle(words)
    return " ".join(words)


def noise(text: str, rng: random.Random) -> str:
    return "".join(rng.choice(string.ascii_lowercase + " ;,.") for _ in range(min(len(text), 200)))


def repeated(text: str, rng: random.Random) -> str:
    return f"{text[:60]}\n" * rng.randint(5, 20)


def truncated(text: str, rng: random.Random) -> str:
    return text[: int(len(text) * rng.uniform(0.3, 0.7))]


KINDS: dict[str, Callable[[str, random.Random], str]] = {
    "shuffled words": shuffled,
    "keyboard noise": noise,
    "repeated lines": repeated,
    "truncated": truncated,
}
SIGNAL = {
    "shuffled words": "perplexity",
    "keyboard noise": "perplexity",
    "repeated lines": "repetition",
    "wrong language": "language",
    "truncated": "shortness",
}
"""The signal that is meant to find each kind, chosen beforehand."""


def aucs(lm: LanguageModel, count: int) -> dict[str, float]:
    """ROC AUC of the signal of each kind, `count` of each kind against as many real prompts."""
    rng = random.Random(3)
    texts = prompts(2 * count, seed=2)
    made = {kind: [make(text, rng) for text in texts[:count]] for kind, make in KINDS.items()}
    made |= {"wrong language": (chinese(count) * count)[:count], "real": texts[count:]}
    frame = pl.DataFrame([(kind, text) for kind, some in made.items() for text in some], ["kind", "text"], orient="row")
    scored = with_signals(lm, frame)
    names = sorted(set(SIGNAL.values()))
    real = scored.filter(pl.col("kind") == "real")
    table = {
        kind: {name: auc(mine[name], real[name]) for name in names if mine[name].null_count() == 0}
        for kind in SIGNAL
        for mine in [scored.filter(pl.col("kind") == kind)]
    }
    show(
        f"ROC AUC against {count:,} real prompts, first {MAX_TOKENS} tokens; * the signal meant for it",
        ["junk", *names],
        [
            [kind, *(f"{row[name]:.3f}{'*' if SIGNAL[kind] == name else ' '}" if name in row else "" for name in names)]
            for kind, row in table.items()
        ],
    )
    return {kind: round(row[SIGNAL[kind]], 4) for kind, row in table.items()}


def with_signals(lm: LanguageModel, frame: pl.DataFrame) -> pl.DataFrame:
    """`frame` with the signals, each the higher the more suspicious; perplexity only for the kinds that it is for."""
    scored = frame["kind"].is_in(["real", *(kind for kind, signal in SIGNAL.items() if signal == "perplexity")])
    texts = frame.filter(scored)["text"]
    rows = [encode(lm.tokenizer, [{"role": "user", "content": text}], MAX_TOKENS) for text in texts]
    found = likelihoods(lm, rows, token_budget=2048, label="bench: junk")
    perplexity = np.full(frame.height, np.nan)
    perplexity[scored.to_numpy()] = found.text_loss / np.maximum(found.text_tokens, 1)
    text = pl.col("text")
    return frame.with_columns(
        perplexity=pl.Series(perplexity).fill_nan(None),
        repetition=signals.repetition(text),
        shortness=-signals.chars(text),
        language=(detect(frame["text"]) != "en").cast(pl.Float64),
    )


def auc(junk: pl.Series, real: pl.Series) -> float:
    """The chance that a piece of junk has a higher value than a real text; ties count half (Mann and Whitney, 1947)."""
    ranks = rankdata(np.concatenate([junk.to_numpy(), real.to_numpy()]))
    return float((ranks[: len(junk)].sum() - len(junk) * (len(junk) + 1) / 2) / (len(junk) * len(real)))
