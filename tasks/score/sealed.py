"""What may be known of the sealed holdout when mixing: keyed hashes, so that nothing is trained on what is tested."""

import polars as pl

from tasks.text.contamination import seal
from tasks.text.conversation import dialogue, user_text


def sealed_rows(rows: pl.DataFrame, key: bytes) -> pl.DataFrame:
    """Rows of the table sealed: two items for each row of the holdout.

    One is all that was said in it. The other, its id ending in "/asked", is what the user asked, and only as a whole:
    questions often share most of their words.

    Args:
        rows: `id`, `messages`, `split`.
        key: the lake's secret.
    """
    holdout = rows.filter(pl.col("split") == "holdout").select("id", said=dialogue(), asked=user_text())
    asked = seal(holdout["id"] + "/asked", holdout["asked"], key)
    as_a_whole = asked.with_columns(grams=pl.lit([], dtype=asked.schema["grams"]))
    return pl.concat([seal(holdout["id"], holdout["said"], key), as_a_whole]).sort("id")
