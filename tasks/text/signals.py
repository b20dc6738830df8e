"""What a text tells by itself: signals as Polars expressions, each from a text column to a column.

They cost microseconds a row and need no model. Sources: Rae et al. 2021 (Gopher, https://arxiv.org/abs/2112.11446,
table A1) for repetition and symbols.
"""

import polars as pl

REFUSAL = "|".join(
    (
        r"\b(?:i|we)(?:'m| am| are|'re)? (?:sorry|afraid)\b.{0,40}\b(?:can(?:no|')t|can not|unable|won't|not able)\b",
        r"\bi (?:can(?:no|')t|can not|won't|will not|am unable to|am not able to|must decline to)"
        r" (?:help|assist|do|provide|create|write|generate|answer|fulfill|comply|discuss|support|share|give)\b",
        r"\bi'm (?:unable|not able) to (?:help|assist|do|provide|create|write|generate|answer|fulfill|comply)\b",
        r"\bas an ai(?: language)? (?:model|assistant)\b",
        r"\b(?:ich|wir) k(?:ann|önnen) (?:\w+ ){0,3}(?:leider )?(?:nicht helfen|nicht beantworten|dabei nicht)",
        r"\bje (?:suis désolée?, (?:mais )?je )?ne peux pas (?:vous )?(?:aider|répondre|fournir)",
        r"\b(?:lo siento, (?:pero )?)?no puedo (?:ayudar|responder|proporcionar)",
        r"(?:抱歉|对不起).{0,12}(?:无法|不能)",
    )
)
"""Openings of answers that refuse, in English, German, French, Spanish and Chinese; matched in lower case."""
WORD = r"[\p{L}\p{N}\p{M}]+"
OPENING = 200  # characters: a refusal says so at once


def chars(text: pl.Expr) -> pl.Expr:
    """Characters of a text."""
    return text.str.len_chars().cast(pl.Int64)


def repetition(text: pl.Expr) -> pl.Expr:
    """Share of word 3-grams that occurred before in the text: 0 to 1; 0 for less than three words."""
    words = text.str.to_lowercase().str.extract_all(WORD)
    word = pl.element()
    grams = words.list.eval(pl.concat_str(word, word.shift(-1), word.shift(-2), separator=" ").drop_nulls())
    repeated = 1 - grams.list.n_unique() / grams.list.len()
    return pl.when(grams.list.len() > 0).then(repeated).otherwise(0.0)


def symbol_share(text: pl.Expr) -> pl.Expr:
    """Share of characters that are neither letters, digits nor spaces: 0 to 1; 0 for an empty text."""
    symbols = text.str.count_matches(r"[^\p{L}\p{N}\p{M}\s]")
    return pl.when(text.str.len_chars() > 0).then(symbols / text.str.len_chars()).otherwise(0.0)


def refusal(answer: pl.Expr) -> pl.Expr:
    """Whether an answer opens with a refusal; false where there is no answer."""
    return answer.str.head(OPENING).str.to_lowercase().str.replace_all("’", "'").str.contains(REFUSAL).fill_null(False)


def overlap(question: pl.Expr, answer: pl.Expr) -> pl.Expr:
    """Share of the answer's different words that the question has, too: 0 to 1; null for an answer without words."""
    asked, said = (text.str.to_lowercase().str.extract_all(WORD).list.unique() for text in (question, answer))
    return pl.when(said.list.len() > 0).then(said.list.set_intersection(asked).list.len() / said.list.len())
