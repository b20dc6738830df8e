"""Words that do not change what a short text asks, and words that turn it round, in English and Chinese.

Kept small on purpose: pronouns, prepositions, tenses and "or" change the meaning of a prompt of five words.
"""

from functools import cache

import numpy as np

from tasks.text.hashing import U64
from tasks.text.words import U8, word_hash

STOP_WORDS = """
a an the is are am be do does to of and that please pls plz kindly me can could would just s hi hello hey thanks thx
的 了 吗 嗎 呢 吧 啊 呀 哦 嘛 请 請 是
"""

STOP_PHRASES = """
can you, could you, would you, will you, thank you,
请 问, 請 問, 一 下, 帮 我, 幫 我, 麻 烦, 麻 煩, 谢 谢, 謝 謝, 你 好
"""

NEGATIONS = """
not no never none nor neither nothing nobody without aint wont didnt wasnt werent hasnt havent hadnt shouldnt mustnt
不 没 沒 無 无 非 别 別 未 勿 莫 否
"""

SAME_AS = {
    "not": "dont doesnt cant cannot isnt arent couldnt wouldnt",
    "what": "whats",
    "how": "hows",
    "where": "wheres",
    "who": "whos",
    "when": "whens",
}
"""Contractions whose other half is a stop word: they count as the word that remains."""

NEGATION_FLAG = 4
SLOTS = 1024  # a power of 2


@cache
def table() -> tuple[U64, U64, U8, U64]:
    """A hash table of the words above, for kernels.

    Returns:
        Keys (0: free slot), what each counts as (0: nothing, a stop word), its flag, and the stop phrases as pairs of
        word hashes. A word's slot is the first with its key from `hash % SLOTS` on.
    """
    keys, values, flags = np.zeros(SLOTS, np.uint64), np.zeros(SLOTS, np.uint64), np.zeros(SLOTS, np.uint8)

    negations = NEGATIONS.split()

    def enter(word: str, value: int, flag: int = 0) -> None:
        slot = word_hash(word) % SLOTS
        while keys[slot]:
            slot = (slot + 1) % SLOTS
        keys[slot], values[slot], flags[slot] = word_hash(word), value, flag

    for word in STOP_WORDS.split():
        enter(word, 0)
    for word in negations:
        enter(word, word_hash(word), NEGATION_FLAG)
    for word, others in SAME_AS.items():
        for other in others.split():
            enter(other, word_hash(word), NEGATION_FLAG if word in negations else 0)
    pairs = [phrase.split() for phrase in STOP_PHRASES.split(",")]
    phrases = np.array([[word_hash(word) for word in pair] for pair in pairs], np.uint64)
    return keys, values, flags, phrases
