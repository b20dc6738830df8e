"""Hashes as array kernels: MinHash signatures as datasketch makes them, and SipHash for what is kept.

Kernels are compiled by Numba, work on whole arrays, and release the GIL, so that threads run them side by side.
"""

from functools import cache
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from datasketch import MinHash

from tasks.text.kernel import kernel
from tasks.text.normalize import buffers

U64 = npt.NDArray[np.uint64]
U32 = npt.NDArray[np.uint32]
I64 = npt.NDArray[np.int64]

PERMUTATIONS = 128
SEED = 1
SCHEME = "affine32"


@kernel
def mix(value: Any) -> Any:
    """Spread 64 bits over 64 bits, one to one (MurmurHash3's finalizer)."""
    value ^= value >> np.uint64(33)
    value *= np.uint64(0xFF51AFD7ED558CCD)
    value ^= value >> np.uint64(33)
    value *= np.uint64(0xC4CEB9FE1A85EC53)
    value ^= value >> np.uint64(33)
    return value


@kernel
def chain(state: Any, value: Any) -> Any:
    """Take the next value of a sequence into a 64-bit state: order matters."""
    return ((state << np.uint64(23)) | (state >> np.uint64(41))) * np.uint64(0x9E3779B97F4A7C15) ^ mix(value)


@cache
def permutations() -> tuple[U32, U32]:
    """The factors and summands of datasketch's permutations."""
    factors, summands = MinHash(PERMUTATIONS, seed=SEED, scheme=SCHEME).permutations
    return np.ascontiguousarray(factors), np.ascontiguousarray(summands)


def minhash(shingles: U64, offsets: I64) -> U32:
    """A signature for each set of shingles: the least value of `fmix32(h) * a + b` under each permutation.

    Args:
        shingles: 64-bit hashes, set after set; the low 32 bits go in.
        offsets: n + 1 places where the sets begin and end.

    Returns:
        n x 128. Each row is bit-identical to the hash values of `datasketch.MinHash` (scheme affine32, seed 1) that
        was updated with the same 32-bit hashes; an empty set has the greatest value everywhere, as there.
    """
    signatures = np.empty((len(offsets) - 1, PERMUTATIONS), np.uint32)
    factors, summands = permutations()
    _minhash(shingles, offsets, factors, summands, signatures)
    return signatures


def to_datasketch(signature: U32) -> MinHash:
    """A signature as datasketch's object, to compare, to merge or to put into its indexes."""
    return MinHash(hashvalues=signature, seed=SEED, scheme=SCHEME)


def siphash(values: U64, key: bytes) -> U64:
    """SipHash-1-3 of each 64-bit value under a 128-bit key: who lacks the key cannot guess what was hashed.

    Source: Aumasson, Bernstein: SipHash, a fast short-input PRF (2012).
    """
    low, high = np.frombuffer(key[:16], np.uint64)
    out = np.empty_like(values)
    _siphash(values, low, high, out)
    return out


def text_hashes(texts: pl.Series, salt: str) -> U64:
    """64 bits of each text (null counts as empty) that look like chance, others for another salt.

    For orders and samples; who knows the salt can make texts with a hash of their choice.
    """
    data, offsets = buffers(texts.fill_null(""))
    out = np.empty(len(texts), np.uint64)
    _text_hashes(data, offsets, np.frombuffer(blake2b(salt.encode(), digest_size=8).digest(), np.uint64)[0], out)
    return out


@kernel
def _text_hashes(data: Any, offsets: I64, start: Any, out: U64) -> None:
    for row in range(len(out)):
        state = start
        for at in range(offsets[row], offsets[row + 1]):
            state = chain(state, np.uint64(data[at]))
        out[row] = mix(state)


@kernel
def _minhash(shingles: U64, offsets: I64, factors: U32, summands: U32, signatures: U32) -> None:
    """Four shingles at a time: the permutations and the signature are then read a quarter as often."""
    for row in range(len(offsets) - 1):
        signature = signatures[row]
        signature[:] = np.uint32(0xFFFFFFFF)
        at, end = np.uint64(offsets[row]), np.uint64(offsets[row + 1])
        while at + np.uint64(4) <= end:
            one, two = _fmix32(shingles[at]), _fmix32(shingles[at + np.uint64(1)])
            three, four = _fmix32(shingles[at + np.uint64(2)]), _fmix32(shingles[at + np.uint64(3)])
            for place in range(len(factors)):
                factor, summand = factors[place], summands[place]
                low = min(np.uint32(one * factor + summand), np.uint32(two * factor + summand))
                high = min(np.uint32(three * factor + summand), np.uint32(four * factor + summand))
                signature[place] = min(signature[place], low, high)
            at += np.uint64(4)
        while at < end:
            value = _fmix32(shingles[at])
            for place in range(len(factors)):
                signature[place] = min(signature[place], np.uint32(value * factors[place] + summands[place]))
            at += np.uint64(1)


@kernel
def _fmix32(shingle: Any) -> Any:
    """Spread the low 32 bits (MurmurHash3's finalizer), as datasketch does."""
    value = np.uint32(shingle & np.uint64(0xFFFFFFFF))
    value = np.uint32(value ^ (value >> np.uint32(16)))
    value = np.uint32(value * np.uint32(0x85EBCA6B))
    value = np.uint32(value ^ (value >> np.uint32(13)))
    value = np.uint32(value * np.uint32(0xC2B2AE35))
    return np.uint32(value ^ (value >> np.uint32(16)))


@kernel
def _rotate(value: Any, bits: Any) -> Any:
    return (value << np.uint64(bits)) | (value >> np.uint64(64 - bits))


@kernel
def _round(a: Any, b: Any, c: Any, d: Any) -> Any:
    a += b
    b = _rotate(b, 13) ^ a
    a = _rotate(a, 32)
    c += d
    d = _rotate(d, 16) ^ c
    a += d
    d = _rotate(d, 21) ^ a
    c += b
    b = _rotate(b, 17) ^ c
    return a, b, _rotate(c, 32), d


@kernel
def _siphash(values: U64, low: Any, high: Any, out: U64) -> None:
    length = np.uint64(8 << 56)
    for at in range(len(values)):
        value = values[at]
        a = low ^ np.uint64(0x736F6D6570736575)
        b = high ^ np.uint64(0x646F72616E646F6D)
        c = low ^ np.uint64(0x6C7967656E657261)
        d = high ^ np.uint64(0x7465646279746573)
        for block in (value, length):
            d ^= block
            a, b, c, d = _round(a, b, c, d)
            a ^= block
        c ^= np.uint64(0xFF)
        for _ in range(3):
            a, b, c, d = _round(a, b, c, d)
        out[at] = a ^ b ^ c ^ d
