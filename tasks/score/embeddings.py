"""The embedding of each row: of what its user wrote, or of a document's text."""

from hashlib import blake2b

import numpy as np
import polars as pl

from storage.lake import Lake
from storage.snapshot import digest
from storage.tables import TABLES
from tasks.lm.embed import embed, embedding_folder
from tasks.lm.load import model_identity
from tasks.lm.remote import Endpoint, remote_embeddings
from tasks.score.reuse import reuse
from tasks.text.conversation import user_text

VECTOR = TABLES["embeddings"].columns["vector"]


def embeddings(lake: Lake, rows: pl.DataFrame, model: str, endpoint: str | None = None) -> pl.DataFrame:
    """Rows of the table embeddings; a text that was embedded before, in any batch, is not embedded again.

    The general set has none: it is there against forgetting, however its rows are spread.

    Args:
        lake: where earlier embeddings are.
        rows: `id`, `messages`, `domain`.
        model: a sentence-transformers model, see `tasks.lm.embed`; or the name that `endpoint` serves it by.
        endpoint: address of a vLLM server that embeds, ending in /v1; None embeds in this process.
    """
    secret = blake2b(lake.secret()).digest()
    identity = model_identity(embedding_folder(model)) if endpoint is None else digest("served", model)

    def key(text: str) -> str:
        return blake2b(f"{identity}\n{text}".encode(), key=secret, digest_size=16).hexdigest()

    wanted = rows.filter(pl.col("domain").ne_missing("general")).select("id", text=user_text())
    keyed = wanted.with_columns(key=pl.Series([key(text) for text in wanted["text"]], dtype=pl.String))
    known = lake.read("embeddings").filter(pl.col("key").is_in(keyed["key"].implode())).select("key", "vector")

    def work(some: pl.DataFrame) -> pl.DataFrame:
        vectors = _embed(some["text"].to_list(), model, endpoint)
        return pl.DataFrame({"vector": pl.Series(vectors.tolist(), dtype=VECTOR)})

    found = reuse(keyed, known.collect(), work)
    return keyed.select("id", "key", model=pl.lit(identity)).hstack(found)


def _embed(texts: list[str], model: str, endpoint: str | None) -> np.ndarray:
    if endpoint is None:
        return embed(embedding_folder(model), texts, bar="score: embeddings")
    served = Endpoint(endpoint.rstrip("/"), "score.embedding_endpoint", model)
    return remote_embeddings(served, texts, "score: embeddings") if texts else np.zeros((0, 0), dtype=np.float32)
