"""The embedding of each row: of what its user wrote, or of a document's text."""

from hashlib import blake2b

import polars as pl

from storage.lake import Lake
from storage.tables import TABLES
from tasks.lm.embed import embed, embedding_folder
from tasks.lm.load import model_identity
from tasks.score.reuse import reuse
from tasks.text.conversation import user_text

VECTOR = TABLES["embeddings"].columns["vector"]


def embeddings(lake: Lake, rows: pl.DataFrame, model: str) -> pl.DataFrame:
    """Rows of the table embeddings; a text that was embedded before, in any batch, is not embedded again.

    The general set has none: it is there against forgetting, however its rows are spread.

    Args:
        lake: where earlier embeddings are.
        rows: `id`, `messages`, `domain`.
        model: a sentence-transformers model, see `tasks.lm.embed`.
    """
    folder = embedding_folder(model)
    identity, secret = model_identity(folder), blake2b(lake.secret()).digest()

    def key(text: str) -> str:
        return blake2b(f"{identity}\n{text}".encode(), key=secret, digest_size=16).hexdigest()

    wanted = rows.filter(pl.col("domain").ne_missing("general")).select("id", text=user_text())
    keyed = wanted.with_columns(key=pl.Series([key(text) for text in wanted["text"]], dtype=pl.String))
    known = lake.read("embeddings").select("key", "vector").join(keyed.lazy().select("key"), on="key", how="semi")

    def work(some: pl.DataFrame) -> pl.DataFrame:
        vectors = embed(folder, some["text"].to_list(), bar="score: embeddings")
        return pl.DataFrame({"vector": pl.Series(vectors.tolist(), dtype=VECTOR)})

    found = reuse(keyed, known.collect(), work)
    return keyed.select("id", "key", model=pl.lit(identity)).hstack(found)
