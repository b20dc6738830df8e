"""What is kept of a text to find it again: its exact hash, the buckets it falls into, and a sketch to verify by.

Short texts (up to 80 words) are known by their word 1-grams and 2-grams, long ones (from 40 words) by their 5-grams;
between, both. All choices depend on the text only; what is kept is then keyed, which changes no comparison.
"""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import polars as pl

from tasks.dedupe.scheme import LONG_BANDS, LONG_GRAM, LONG_ROWS, SHORT_BANDS, SHORT_ROWS, Meta
from tasks.dedupe.shingles import describe, grams
from tasks.dedupe.sketch import sketch
from tasks.text.hashing import I64, U32, U64, chain, minhash, mix, siphash
from tasks.text.kernel import kernel
from tasks.text.words import tokenize


@dataclass(frozen=True)
class Signed:
    """Texts, signed; row i of everything is text i.

    Args:
        meta: a record of META each.
        order: a number to sort by that depends on the text only.
        keys: bucket keys, text after text, at `key_offsets`: texts that share one are compared.
        sketches: shingles, text after text, at `sketch_offsets`: 31 or 28 keyed bits, and below them 1 bit that
            marks a content word (1-2-grams) or 4 bits with the level it is sampled at (5-grams); sorted, distinct.
    """

    meta: Meta
    order: U64
    keys: U64
    key_offsets: I64
    sketches: U32
    sketch_offsets: I64


def sign(texts: pl.Series, secret: bytes, *, purpose: str, among: pl.Series | None = None, near: bool = True) -> Signed:
    """Sign texts.

    Args:
        texts: what is compared; null counts as empty.
        secret: the lake's; two secrets lead to the same comparisons, but neither can be read by the other.
        purpose: texts signed for different purposes never meet.
        among: a name for each text: texts with different ones never meet, nor those with one and those without.
        near: whether near duplicates are wanted; without, only the exact hash is made.
    """
    key = blake2b(purpose.encode(), key=blake2b(secret).digest(), digest_size=16).digest()
    hashes, flags, offsets = tokenize(texts)
    meta, content_words = describe(hashes, flags, offsets, near=near)
    if among is not None and among.count():
        hashes = _apart(among, meta, hashes, offsets)
    order = meta["exact"][:, 0].copy()
    if near:
        short, short_offsets = grams(hashes, offsets, 1)
        long, long_offsets = grams(hashes, offsets, LONG_GRAM)
        keys, key_offsets = _keys(meta, (short, short_offsets), (long, long_offsets))
        sketches, sketch_offsets = sketch(
            content_words, offsets, (siphash(short, key), short_offsets), (long, siphash(long, key), long_offsets), meta
        )
    else:
        keys, key_offsets = order, np.arange(len(texts) + 1)
        sketches, sketch_offsets = np.empty(0, np.uint32), np.zeros(len(texts) + 1, np.int64)
    for field in ("content", "guard"):
        meta[field] = np.where(meta[field] == 0, 0, siphash(meta[field].copy(), key))
    meta["exact"] = siphash(meta["exact"].ravel().copy(), key).reshape(-1, 2)
    return Signed(meta, order, siphash(keys, key), key_offsets, sketches, sketch_offsets)


def _apart(among: pl.Series, meta: Meta, hashes: U64, offsets: I64) -> U64:
    """The hashes of words, which differ by what their text is compared among, as those of the whole texts in `meta` do.

    What a text says has been read by now: which words are content words does not depend on it.
    """
    marks = [int.from_bytes(blake2b(name.encode(), digest_size=8).digest()) if name else 0 for name in among]
    mark = np.array(marks, np.uint64)
    meta["exact"] ^= mark[:, None]
    meta["content"] = np.where(meta["content"] == 0, 0, meta["content"] ^ mark)
    return hashes ^ np.repeat(mark, np.diff(offsets))


def signatures(texts: pl.Series, *, long: bool) -> tuple[U32, U64, I64]:
    """MinHash signatures (n x 128) of the texts' 5-grams (`long`) or 1-2-grams, with the shingle hashes they are of.

    A text that is too long or too short for that kind has no shingles.
    """
    hashes, _, offsets = tokenize(texts)
    shingles, shingle_offsets = grams(hashes, offsets, LONG_GRAM if long else 1)
    return minhash(shingles, shingle_offsets), shingles, shingle_offsets


def _keys(meta: Meta, short: tuple[U64, I64], long: tuple[U64, I64]) -> tuple[U64, I64]:
    is_short, is_long = np.diff(short[1]) > 0, np.diff(long[1]) > 0
    counts = 1 + (meta["content"] != 0) + is_short * SHORT_BANDS + is_long * LONG_BANDS
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    keys = np.empty(offsets[-1], np.uint64)
    _write_keys(meta, is_short, is_long, minhash(*short), minhash(*long), keys, offsets)
    return keys, offsets


@kernel
def _write_keys(meta: Any, is_short: Any, is_long: Any, short: U32, long: U32, keys: U64, offsets: I64) -> None:
    for row in range(len(meta)):
        out = offsets[row]
        keys[out] = meta[row].exact[0]
        out += 1
        if meta[row].content:
            keys[out] = mix(meta[row].content)
            out += 1
        if is_short[row]:
            for band in range(SHORT_BANDS):
                state = np.uint64(band)
                for place in range(band * SHORT_ROWS, (band + 1) * SHORT_ROWS):
                    state = chain(state, np.uint64(short[row, place]))
                keys[out] = mix(state)
                out += 1
        if is_long[row]:
            for band in range(LONG_BANDS):
                state = np.uint64(SHORT_BANDS + band)
                for place in range(band * LONG_ROWS, (band + 1) * LONG_ROWS):
                    state = chain(state, np.uint64(long[row, place]))
                keys[out] = mix(state)
                out += 1
