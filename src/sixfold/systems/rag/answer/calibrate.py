"""Fitting the confidence to questions of which it is known whether the passages answer them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sixfold.errors import ConfigError
from sixfold.systems.rag.answer.abstain import Confidence, Features

__all__ = ["best_threshold", "fit_confidence"]

_RIDGE = 0.05  # keeps the weights finite where a feature separates the questions without an error
_STEPS = 100


def fit_confidence(
    features: Sequence[Features], answered: Sequence[bool], weights: Sequence[float] | None = None
) -> Confidence:
    """Logistic regression by Newton's method.

    answered: whether the passages held the answer. weights: how much each question counts; all the same if None.

    Raises ConfigError: the questions are all of one kind.
    """
    if len(set(answered)) < 2:
        raise ConfigError(f"got {len(answered)} questions of one kind, expected some with and some without an answer")
    x_nf = np.array([[1.0, one.coverage, one.names, one.similarity] for one in features])
    y_n = np.array(answered, dtype=float)
    weight_n = np.ones(len(y_n)) if weights is None else np.array(weights, dtype=float)
    ridge_f = _RIDGE * np.array([0.0, 1.0, 1.0, 1.0])
    w_f = np.zeros(4)
    for _ in range(_STEPS):
        p_n = 1.0 / (1.0 + np.exp(-np.clip(x_nf @ w_f, -30.0, 30.0)))
        gradient_f = x_nf.T @ (weight_n * (p_n - y_n)) + ridge_f * w_f
        hessian_ff = (x_nf * (weight_n * p_n * (1.0 - p_n))[:, None]).T @ x_nf + _RIDGE * np.eye(4)
        step_f = np.linalg.solve(hessian_ff, gradient_f)
        w_f -= step_f
        if np.abs(step_f).max() < 1e-9:
            break
    return Confidence(*(float(w) for w in w_f))


def best_threshold(
    confidence: Confidence,
    features: Sequence[Features],
    answered: Sequence[bool],
    weights: Sequence[float] | None = None,
) -> float:
    """The threshold, a multiple of 0.05, with the least sum of the rates of both errors; of equals, the lowest."""
    values_n = np.array([confidence.of(one) for one in features])
    weight_n = np.ones(len(values_n)) if weights is None else np.array(weights, dtype=float)
    right_n = np.array(answered, dtype=bool)

    def errors(threshold: float) -> float:
        abstains_n = values_n < threshold
        false_abstentions = float(np.average(abstains_n[right_n], weights=weight_n[right_n]))
        return false_abstentions + float(np.average(~abstains_n[~right_n], weights=weight_n[~right_n]))

    return min((round(0.05 * step, 2) for step in range(1, 20)), key=errors)
