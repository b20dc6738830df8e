"""Passages of documents: a few whole sentences that a prompt has room for."""

import random

from tasks.synthesize.method import Seed
from tasks.synthesize.rules import whole_sentences

PASSAGE = 1200  # characters at most
SHORTEST = 80


def passage(document: Seed, numbers: random.Random) -> str:
    """Some consecutive paragraphs of a document, cut at the end of a sentence; empty when there is too little.

    Args:
        document: a document.
        numbers: chooses where to begin.
    """
    paragraphs = [part.strip() for part in str(document.messages[0]["content"]).split("\n") if part.strip()]
    if not paragraphs:
        return ""
    start = numbers.randrange(len(paragraphs))
    text = "\n".join(paragraphs[start:])
    if len(text) < SHORTEST:
        text = "\n".join(paragraphs)
    text = text if len(text) <= PASSAGE else whole_sentences(text[:PASSAGE])
    return text if len(text) >= SHORTEST else ""
