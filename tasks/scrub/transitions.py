"""spaCy's entity transitions, compiled: the same model, the same decisions, a tenth of the time.

spaCy spends most of its NER time not in the network but in the loop that walks each text and applies a tiny layer per
token, a batch of states at a time. Here the same loop runs text by text in one numba kernel.
Source: spacy/ml/parser_model.pyx and spacy/pipeline/_parser_internals/ner.pyx (3.8), for texts without preset
entities. The test compares it with spaCy's own result.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

OUT, BEGIN, IN, LAST, UNIT = range(5)
Floats = NDArray[np.float32]
Ints = NDArray[np.int32]


@dataclass(frozen=True)
class Transitions:
    """The layers of spaCy's transition model behind its token vectors.

    Args:
        tokens: the layer that gives a vector for each token of each text.
        lower, pad, lower_bias: token features -> hidden pieces; shapes (3 * hidden * 2, width), (3 * hidden * 2),
            (hidden, 2). The three features: the next token, the first and the last one of the open entity.
        upper, upper_bias: hidden -> score of each move; shapes (moves, hidden) and (moves).
        moves, labels: what each move does (OUT ... UNIT), and the index of its label.
        names: the labels.
    """

    tokens: Any
    lower: Floats
    pad: Floats
    lower_bias: Floats
    upper: Floats
    upper_bias: Floats
    moves: Ints
    labels: Ints
    names: tuple[str, ...]

    def spans(self, docs: Sequence[Any]) -> list[list[tuple[int, int, str]]]:
        """First token, one past the last token, and label of each entity of each text."""
        vectors = self.tokens.predict(docs)
        features = np.ascontiguousarray(vectors @ self.lower.T)
        lengths = np.array([len(doc) for doc in docs], dtype=np.int32)
        spaces = np.concatenate([doc.to_array("IS_SPACE") for doc in docs]).astype(np.bool_)
        found = _walk(
            *(
                features,
                self.pad,
                self.lower_bias,
                self.upper,
                self.upper_bias,
                self.moves,
                self.labels,
                lengths,
                spaces,
            )
        )
        spans: list[list[tuple[int, int, str]]] = [[] for _ in docs]
        for doc, start, end, label in found.tolist():
            spans[doc].append((start, end, self.names[label]))
        return spans


def transitions(ner: Any) -> Transitions | None:
    """The layers of a spaCy `EntityRecognizer`, or None when it is of a form that this module does not know."""
    tokens, lower, upper = (*ner.model.layers, None, None)[:3]
    known = (
        ner.cfg.get("beam_width", 1) == 1
        and ner.model.attrs.get("has_upper")
        and upper is not None
        and (lower.get_dim("nF"), lower.get_dim("nP")) == (3, 2)
        and not ner.model.attrs.get("unseen_classes")
    )
    kinds = {"O": OUT, "B": BEGIN, "I": IN, "L": LAST, "U": UNIT}
    moves = [ner.moves.get_class_name(index).partition("-") for index in range(ner.moves.n_moves)]
    if not known or any(kind not in kinds for kind, _, _ in moves):
        return None
    names = tuple(sorted({label for _, _, label in moves}))
    nameless = 5  # a unit without a label is for preset entities: no kind that the walk allows
    weights = lower.get_param("W")
    return Transitions(
        tokens=tokens,
        lower=np.ascontiguousarray(weights.reshape(-1, weights.shape[-1])),
        pad=np.ascontiguousarray(lower.get_param("pad").reshape(-1)),
        lower_bias=np.ascontiguousarray(lower.get_param("b")),
        upper=np.ascontiguousarray(upper.get_param("W")),
        upper_bias=np.ascontiguousarray(upper.get_param("b")),
        moves=np.array([kinds[kind] if label or kind == "O" else nameless for kind, _, label in moves], dtype=np.int32),
        labels=np.array([names.index(label) for _, _, label in moves], dtype=np.int32),
        names=names,
    )


@njit(cache=True, fastmath=True, nogil=True)
def _walk(features, pad, lower_bias, upper, upper_bias, moves, labels, lengths, spaces):  # type: ignore[no-untyped-def]
    """Greedy decoding: at each token the best move that is allowed. Rows of: text, first token, end, label."""
    hidden, pieces = lower_bias.shape
    part = hidden * pieces
    found = np.empty((len(spaces), 4), dtype=np.int32)
    count = 0
    state = np.empty(hidden, dtype=np.float32)
    offset = 0
    for doc in range(len(lengths)):
        begun, label = -1, -1
        for at in range(lengths[doc]):
            here = features[offset + at]
            first = features[offset + begun, part:] if begun >= 0 else pad[part:]
            last = features[offset + at - 1, 2 * part :] if begun >= 0 else pad[2 * part :]
            for h in range(hidden):
                i = 2 * h
                one = here[i] + first[i] + last[i] + lower_bias[h, 0]
                two = here[i + 1] + first[i + 1] + last[i + 1] + lower_bias[h, 1]
                state[h] = max(one, two)
            best, best_score = -1, np.float32(-1e30)
            for move in range(len(moves)):
                kind = moves[move]
                more = at + 1 < lengths[doc]
                if begun >= 0:
                    allowed = labels[move] == label and (kind == LAST or (kind == IN and more))
                else:
                    allowed = kind == OUT or ((kind == UNIT or (kind == BEGIN and more)) and not spaces[offset + at])
                if not allowed:
                    continue
                score = upper_bias[move]
                for h in range(hidden):
                    score += upper[move, h] * state[h]
                if score > best_score:
                    best, best_score = move, score
            kind = moves[best]
            if kind in (BEGIN, UNIT):
                begun, label = at, labels[best]
            if kind in (LAST, UNIT):
                found[count, 0], found[count, 1], found[count, 2], found[count, 3] = doc, begun, at + 1, label
                count += 1
                begun = -1
        offset += lengths[doc]
    return found[:count]
