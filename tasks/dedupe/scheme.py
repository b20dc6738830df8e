"""How texts are signed: a change of anything here makes another index, and `SCHEME` says so."""

import numpy as np
import numpy.typing as npt

from tasks.text import hashing

SHORT_WORDS = 60  # a pair whose shorter text has no more is compared as short texts
SHORT_MOST = 80
LONG_LEAST = 40
LONG_GRAM = 5
SHORT_BANDS, SHORT_ROWS = 32, 4
LONG_BANDS, LONG_ROWS = 16, 8
SAMPLE = 1024  # most shingles kept of a long text
LEVELS = 16
SLOTS = 4096  # of the hash table that finds distinct shingles

SCHEME = (
    f"1: {hashing.SCHEME} x {hashing.PERMUTATIONS}, seed {hashing.SEED}; NFKC, case folded; "
    f"up to {SHORT_MOST} words 1-2-grams {SHORT_BANDS} x {SHORT_ROWS}, "
    f"from {LONG_LEAST} words {LONG_GRAM}-grams {LONG_BANDS} x {LONG_ROWS}"
)

META = np.dtype(
    [
        ("exact", "<u8", 2),  # 128 bits of the sequence of words
        ("content", "<u8"),  # of the sequence of content words; 0 without any, or for a long text
        ("guard", "<u8"),  # of the numbers, operators and negations in their order
        ("words", "<u4"),
        ("short", "<u4"),  # how many entries of the sketch are 1-2-grams; the 5-grams follow
    ]
)
Meta = npt.NDArray[np.void]
