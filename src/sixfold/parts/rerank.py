"""Reranking without a model of its own: the encoder's token vectors, compared one by one.

A passage's vector is a mean over its tokens, in which a rare word that decides is one of many. Late interaction
asks for each token of the question how near the nearest token of the passage is (MaxSim; Khattab & Zaharia, "ColBERT",
SIGIR 2020, section 3.3), here with the tokens of all-MiniLM-L6-v2, which was not trained for it: its scores are
therefore added to those of the retrieval and do not replace them (docs/decisions/0016 has the measurements).

Shape legend: L tokens of a text, H their dimension, Q tokens of the question.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from sixfold.errors import ConfigError

__all__ = ["LateInteraction", "TokenEncoder", "blend", "late_interaction"]

TokenVectors = npt.NDArray[np.float32]
Tokens = tuple[Sequence[int], TokenVectors]  # ids [L] and unit vectors [L, H], without the encoder's marks


class TokenEncoder(Protocol):
    """What gives a vector for each token of a text."""

    def embed_tokens(self, texts: Sequence[str]) -> Sequence[Tokens]:
        """Ids [L] and unit vectors [L, H] of each text's tokens, without the encoder's marks."""


class LateInteraction:
    """Scores passages by their tokens' likeness to those of the question."""

    def __init__(self, encoder: TokenEncoder) -> None:
        self._encoder = encoder

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        """The score of each text, -1 to 1, in the order of the texts. Encodes every text anew."""
        if not texts:
            return []
        asked, *passages = self._encoder.embed_tokens([query, *texts])
        return late_interaction(asked, passages)


def late_interaction(asked: Tokens, passages: Sequence[Tokens]) -> list[float]:
    """For each passage the weighted mean, over the question's tokens, of the nearest token's cosine.

    A token weighs its idf among these passages: what all of them have does not tell them apart.
    """
    ids, vectors_qh = asked
    present = [frozenset(passage_ids) for passage_ids, _ in passages]
    weights_q = np.array([_idf(token, present) for token in ids])
    if not len(ids) or not weights_q.sum():
        return [0.0] * len(passages)
    return [
        float((vectors_qh @ vectors_lh.T).max(axis=1) @ weights_q / weights_q.sum()) if len(vectors_lh) else -1.0
        for _, vectors_lh in passages
    ]


def blend(first: Sequence[float], second: Sequence[float], weight: float = 1.0) -> list[float]:
    """The sum of two scores of the same passages, each in units of its standard deviation; `weight` is the second's.

    Raises ConfigError if they are not as many, or the weight is negative.
    """
    if len(first) != len(second) or not 0 <= weight < math.inf:
        raise ConfigError(f"got {len(first)} and {len(second)} scores, weight={weight}, expected as many and >= 0")
    return [one + weight * two for one, two in zip(_standard(first), _standard(second), strict=True)]


def _idf(token: int, present: Sequence[Collection[int]]) -> float:
    holders = sum(token in passage for passage in present)
    return math.log1p((len(present) - holders + 0.5) / (holders + 0.5))


def _standard(scores: Sequence[float]) -> list[float]:
    values = np.asarray(scores, dtype=np.float64)
    deviation = float(values.std()) if len(values) else 0.0
    if deviation <= 1e-12 * max(1.0, float(np.abs(values).max(initial=0.0))):
        return [0.0] * len(scores)
    return [float(value) for value in (values - values.mean()) / deviation]
