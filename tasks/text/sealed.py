"""What may be known of the sealed holdout when mixing: keyed hashes, so that nothing is trained on what is tested."""

import polars as pl

from tasks.text.contamination import seal
from tasks.text.conversation import dialogue, user_text


def sealed_rows(rows: pl.DataFrame, key: bytes) -> pl.DataFrame:
    """Rows of the table sealed: two items for each row of the holdout.

    One is what the user asked (of a document, its text), by its n-grams. The other, its id ending in "/said", is the
    conversation with its answers, and only as a whole: assistants repeat themselves, and to learn the words in which
    they say the same to others is no cheating.

    Args:
        rows: `id`, `messages`, `split`.
        key: the lake's secret.
    """
    holdout = rows.filter(pl.col("split") == "holdout").select("id", asked=user_text(), said=dialogue())
    said = seal(holdout["id"] + "/said", holdout["said"], key)
    as_a_whole = said.with_columns(grams=pl.lit([], dtype=said.schema["grams"]))
    return pl.concat([seal(holdout["id"], holdout["asked"], key), as_a_whole]).sort("id")
