"""What texts are about: clusters of their vectors, and the words that set a cluster apart from the others."""

import math
import warnings
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from runpy import run_path

import numpy as np
import polars as pl
from scipy.cluster.vq import kmeans2
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import svds

from tasks.text.words import NUMBER_FLAG, tokenize

ROWS_PER_TOPIC, MOST_TOPICS = 25, 24
ROUNDS, STARTS = 25, 3
BUCKETS = 1 << 15
DIMENSIONS = 64
WORD = r"\p{Han}{2}|[\p{L}][\p{L}\p{N}]{2,}"
PLACEHOLDER = r"<[A-Z_]+_\d+>"
STOP_WORD_LANGUAGES = ("en", "de", "es", "fr", "it", "nl", "pt")
SAME_TOPIC = 0.85
"""Clusters whose centres are nearer (cosine) are one topic that k-means split."""
COMMON = 0.4
"""A word that this share of all texts has says nothing of where they lie."""
LIFT = 1.3
"""A keyword is that much more frequent in its topic than in all texts."""


def word_vectors(texts: pl.Series, seed: int) -> np.ndarray:
    """Vectors from the words of texts alone, for where there is no embedding model: hashed TF-IDF, reduced by SVD.

    Source: Deerwester et al. 1990, Indexing by latent semantic analysis.

    Args:
        texts: n strings.
        seed: of the SVD's start.

    Returns:
        n x d, float32, rows of length 1 (0 for a text whose words no other has); d is 64 at most.
    """
    hashes, flags, ends = tokenize(texts)
    rows, numbers = np.repeat(np.arange(len(texts)), np.diff(ends)), flags == NUMBER_FLAG
    hashes, rows = hashes[~numbers], rows[~numbers]
    buckets = (hashes % np.uint64(BUCKETS)).astype(np.int64)
    counts = csr_array((np.ones(len(rows)), (rows, buckets)), shape=(len(texts), BUCKETS))
    having = np.bincount(counts.indices, minlength=BUCKETS)
    useful = (having > 1) & (having <= max(2, COMMON * len(texts)))
    weights = np.where(useful, np.log(max(len(texts), 1) / np.maximum(having, 1)), 0.0)
    counts.data = (1 + np.log(counts.data)) * weights[counts.indices]
    rank = min(DIMENSIONS, len(texts) - 1, int(useful.sum()) - 1)
    if rank < 1:
        return np.zeros((len(texts), 1), dtype=np.float32)
    start = np.random.default_rng(seed).normal(size=min(counts.shape))
    left, strengths, _ = svds(counts, k=rank, v0=start)
    return unit(left * strengths)


def unit(vectors: np.ndarray) -> np.ndarray:
    """`vectors` (n x d) scaled to length 1, float32; those of length 0 stay."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 1e-9, lengths, 1), dtype=np.float32)


def clusters(vectors: np.ndarray, seed: int) -> np.ndarray:
    """The cluster of each vector, 0 being the largest: k-means on the sphere, the best of a few starts.

    Args:
        vectors: n x d, of length 1.
        seed: of the starts: the same vectors and seed give the same clusters.

    Returns:
        n numbers. There are sqrt(n) / 2 clusters at most, fewer where rows are few: a topic has about 25 at least.
    """
    count = min(MOST_TOPICS, round(math.sqrt(len(vectors)) / 2), len(vectors) // ROWS_PER_TOPIC)
    if count < 2:
        return np.zeros(len(vectors), dtype=np.int64)
    best, least = np.zeros(len(vectors), dtype=np.int64), math.inf
    for start in range(STARTS):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a cluster that runs empty is no loss
            centres, labels = kmeans2(vectors, count, iter=ROUNDS, minit="++", rng=np.random.default_rng(seed + start))
        spread = float(((vectors - centres[labels]) ** 2).sum())
        if spread < least:
            best, least = labels, spread
    best = _merged(vectors, best, count)
    sizes = np.bincount(best, minlength=count)
    ranks = np.empty(count, dtype=np.int64)
    ranks[np.argsort(-sizes, kind="stable")] = np.arange(count)
    return np.asarray(ranks[best])


def _merged(vectors: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    centres = unit(np.array([vectors[labels == at].sum(axis=0) for at in range(count)]))
    _, joined = connected_components(csr_array(centres @ centres.T >= SAME_TOPIC), directed=False)
    return np.asarray(joined[labels])


def keywords(texts: pl.Series, labels: np.ndarray, most: int = 4) -> list[list[str]]:
    """The words that set each cluster apart, best first.

    A word counts more the more texts of the cluster have it and the fewer of all texts: class-based TF-IDF, as in
    Grootendorst 2022, BERTopic, https://arxiv.org/abs/2203.05794.

    Args:
        texts: n strings.
        labels: their clusters, see `clusters`.
        most: words per cluster.

    Returns:
        A list of words for each cluster; empty where a cluster has no word of its own.
    """
    words = _words(texts)
    words = words.with_columns(label=pl.Series(labels).gather(words["row"]))
    least = 2 if len(texts) > ROWS_PER_TOPIC else 1
    in_class = words.group_by("label", "word").agg(times=pl.len())
    overall = words.group_by("word").agg(having=pl.len())
    sizes = pl.DataFrame({"label": labels}).group_by("label").agg(size=pl.len())
    average = words.height / max(1, sizes.height)
    lift = (pl.col("times") / pl.col("size")) / (pl.col("having") / len(texts))
    ranked = (
        in_class.join(overall.filter(pl.col("having") >= least), on="word")
        .join(sizes, on="label")
        .filter((lift > LIFT) | (pl.col("size") == len(texts)))
        .with_columns(weight=pl.col("times") * (1 + average / pl.col("having")).log())
        .sort("weight", "word", descending=[True, False])
        .group_by("label", maintain_order=True)
        .agg(pl.col("word").head(3 * most))
    )
    found = dict(ranked.iter_rows())
    return [_apart(found.get(label, []), most) for label in range(int(labels.max(initial=-1)) + 1)]


def _words(texts: pl.Series) -> pl.DataFrame:
    """`row`, `word`: the different words of each text that may be keywords."""
    plain = pl.col("text").str.replace_all(PLACEHOLDER, " ").str.to_lowercase()
    return (
        texts.alias("text")
        .to_frame()
        .with_row_index("row")
        .select("row", word=plain.str.extract_all(WORD).list.unique())
        .explode("word")
        .drop_nulls()
        .filter(~pl.col("word").is_in(_stop_words()))
    )


def _apart(words: Sequence[str], most: int) -> list[str]:
    """The first words, without those that only bend one before: "note" says what "notes" says."""
    chosen: list[str] = []
    for word in words:
        if not any(word[:5] == other[:5] or word.removesuffix("s") == other.removesuffix("s") for other in chosen):
            chosen.append(word)
    return chosen[:most]


@cache
def _stop_words() -> list[str]:
    """spaCy's lists, read from its files: to import spaCy takes seconds."""
    spec = find_spec("spacy")
    folder = Path(str(spec.origin)).parent / "lang" if spec else Path()
    lists = [run_path(str(folder / language / "stop_words.py"))["STOP_WORDS"] for language in STOP_WORD_LANGUAGES]
    return sorted(set().union(*lists))
