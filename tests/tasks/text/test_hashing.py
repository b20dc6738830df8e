"""Signatures against datasketch, our oracle; SipHash against its published test vectors' reference."""

import itertools

import numpy as np
import polars as pl
from datasketch import MinHash
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.dedupe.sign import signatures
from tasks.text.hashing import PERMUTATIONS, SEED, minhash, siphash, text_hashes, to_datasketch


def oracle(shingles: list[int]) -> MinHash:
    sketch = MinHash(PERMUTATIONS, seed=SEED, hashfunc=int)
    if shingles:
        sketch.update_batch(shingles)
    return sketch


@given(st.lists(st.lists(st.integers(0, 2**64 - 1), max_size=40), max_size=6))
@settings(max_examples=100, deadline=None)
def test_signatures_are_those_of_datasketch(sets: list[list[int]]) -> None:
    offsets = np.cumsum([0, *map(len, sets)]).astype(np.int64)
    flat = np.array([value for values in sets for value in values], np.uint64)
    for values, signature in zip(sets, minhash(flat, offsets), strict=True):
        expected = oracle([value & 0xFFFFFFFF for value in values])
        assert (signature == expected.hashvalues).all()
        assert to_datasketch(signature) == expected


def test_signatures_of_texts_estimate_their_similarity() -> None:
    shared = " ".join(f"word{number}" for number in range(200))
    texts = pl.Series([shared, shared + " and a little more at the end", "something else " * 30])
    found, shingles, offsets = signatures(texts, long=True)
    a, b, c = (to_datasketch(signature) for signature in found)
    sets = [set(shingles[begin:end].tolist()) for begin, end in itertools.pairwise(offsets)]
    assert abs(a.jaccard(b) - len(sets[0] & sets[1]) / len(sets[0] | sets[1])) < 0.1
    assert a.jaccard(c) < 0.05


def reference(value: int, key: bytes) -> int:
    """SipHash-1-3 of eight bytes, after the paper, in plain Python."""
    mask = 2**64 - 1
    low, high = int.from_bytes(key[:8], "little"), int.from_bytes(key[8:], "little")
    v = [low ^ 0x736F6D6570736575, high ^ 0x646F72616E646F6D, low ^ 0x6C7967656E657261, high ^ 0x7465646279746573]

    def rotate(number: int, bits: int) -> int:
        return ((number << bits) | (number >> (64 - bits))) & mask

    def mix() -> None:
        v[0] = (v[0] + v[1]) & mask
        v[1] = rotate(v[1], 13) ^ v[0]
        v[0] = rotate(v[0], 32)
        v[2] = (v[2] + v[3]) & mask
        v[3] = rotate(v[3], 16) ^ v[2]
        v[0] = (v[0] + v[3]) & mask
        v[3] = rotate(v[3], 21) ^ v[0]
        v[2] = (v[2] + v[1]) & mask
        v[1] = rotate(v[1], 17) ^ v[2]
        v[2] = rotate(v[2], 32)

    for block in (value, 8 << 56):
        v[3] ^= block
        mix()
        v[0] ^= block
    v[2] ^= 0xFF
    for _ in range(3):
        mix()
    return v[0] ^ v[1] ^ v[2] ^ v[3]


@given(st.integers(0, 2**64 - 1), st.binary(min_size=16, max_size=16))
@settings(max_examples=100, deadline=None)
def test_siphash(value: int, key: bytes) -> None:
    assert siphash(np.array([value], np.uint64), key).tolist() == [reference(value, key)]


def test_hashes_of_texts_look_like_chance() -> None:
    texts = pl.Series([f"row{number}" for number in range(20_000)])
    found = text_hashes(texts, "salt")
    assert len(np.unique(found)) == len(texts)
    bits = (found[:, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
    assert np.abs(bits.mean(axis=0) - 0.5).max() < 0.02  # more than five standard deviations
    other = text_hashes(texts, "other salt")
    assert abs(np.corrcoef(np.argsort(np.argsort(found)), np.argsort(np.argsort(other)))[0, 1]) < 0.04


def test_a_texts_hash_is_its_own_whatever_stands_beside_it() -> None:
    every = text_hashes(pl.Series(["a", None, "", "bcd", "é"]), "salt").tolist()
    alone = [text_hashes(pl.Series([text], dtype=pl.String), "salt").item() for text in ("a", None, "", "bcd", "é")]
    assert every == alone
    assert every[1] == every[2]
    assert text_hashes(pl.Series(["x", "a", "bcd"])[1:], "salt").tolist() == [every[0], every[3]]
