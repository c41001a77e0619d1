"""How well risk scores order survival, and the Cox partial likelihood with either way of breaking ties.

No promise here on who sees what: both need the records in one place.
"""

# Shapes: N patients, D features, T of them with one time, E events in a block.

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sixfold.errors import ConfigError, InputError

__all__ = ["Concordance", "PartialLikelihood", "concordance", "partial_likelihood"]

Floats = NDArray[np.float64]

_BLOCK = 4_000_000  # pairs compared at once: bounds the memory


@dataclass(frozen=True, slots=True)
class Concordance:
    """index: the share of comparable pairs that are ordered rightly, ties counting half; NaN if there are none."""

    index: float
    comparable: int


@dataclass(frozen=True, slots=True)
class PartialLikelihood:
    """The log partial likelihood, its gradient and its (negative semidefinite) Hessian."""

    log_likelihood: float
    gradient_D: Floats
    hessian_DD: Floats


def concordance(time_N: Floats, event_N: Floats, risk_N: Floats) -> Concordance:
    """Harrell's C: a pair is comparable if the one who left earlier had the event; the higher risk should be theirs.

    risk_N: higher is worse, as from a Cox model; a predicted survival time has to be handed over with the opposite
    sign. Of two who left at one time the pair is comparable if exactly one had the event, and counts as if that came
    first. Costs events times patients. Raises InputError.
    Source: Harrell et al., "Evaluating the yield of medical tests", JAMA 247, 1982.
    """
    _checked(time_N, event_N)
    if risk_N.shape != time_N.shape or not np.isfinite(risk_N).all():
        raise InputError(f"got risks of shape {risk_N.shape} for {len(time_N)} patients, expected a number for each")
    died = np.flatnonzero(event_N == 1.0)
    comparable, right = 0, 0.0
    step = max(1, _BLOCK // max(1, len(time_N)))
    for start in range(0, len(died), step):
        at_E = died[start : start + step, None]
        later_EN = (time_N > time_N[at_E]) | ((time_N == time_N[at_E]) & (event_N == 0.0))
        comparable += int(later_EN.sum())
        right += float(((risk_N < risk_N[at_E]) & later_EN).sum())
        right += 0.5 * float(((risk_N == risk_N[at_E]) & later_EN).sum())
    return Concordance(right / comparable if comparable else np.nan, comparable)


def partial_likelihood(
    X_ND: Floats, time_N: Floats, event_N: Floats, beta_D: Floats, ties: Literal["breslow", "efron"] = "efron"
) -> PartialLikelihood:
    """The Cox log partial likelihood of risks X beta, with derivatives.

    Patients who leave at a time, with the event or censored, are at risk at it. Of T events at one time each has all
    T among those at risk ("breslow"), or the j-th only a share 1 - j / T of them, j = 0 .. T - 1 ("efron"). Raises
    InputError.
    Source: Breslow, "Covariance analysis of censored survival data", Biometrics 30, 1974; Efron, "The efficiency of
    Cox's likelihood function for censored data", JASA 72, 1977.
    """
    _checked(time_N, event_N)
    N, D = X_ND.shape
    if len(time_N) != N or beta_D.shape != (D,):
        raise InputError(f"got X {X_ND.shape} and beta {beta_D.shape} for {len(time_N)} patients")
    if ties not in ("breslow", "efron"):
        raise ConfigError(f"ties: got {ties!r}, expected breslow or efron")
    eta_N = X_ND @ beta_D
    shift = float(eta_N.max(initial=-np.inf))
    w_N = np.exp(eta_N - shift)  # cancels in ratios, and is added to the value
    value, gradient_D, hessian_DD = 0.0, np.zeros(D), np.zeros((D, D))
    s0, s1_D, s2_DD = 0.0, np.zeros(D), np.zeros((D, D))  # over those at risk
    order = np.argsort(time_N, kind="stable")
    starts = np.flatnonzero(np.diff(time_N[order]) > 0) + 1
    for leaving in reversed(np.split(order, starts)):  # the patients of one time, the last first
        died = leaving[event_N[leaving] == 1.0]
        own = _moments(w_N[leaving], X_ND[leaving])
        s0, s1_D, s2_DD = s0 + own[0], s1_D + own[1], s2_DD + own[2]
        tied = _moments(w_N[died], X_ND[died])
        events = len(died)
        for j in range(events):
            part = j / events if ties == "efron" else 0.0
            risk = s0 - part * tied[0]
            mean_D = (s1_D - part * tied[1]) / risk
            value -= np.log(risk) + shift
            gradient_D -= mean_D
            hessian_DD -= (s2_DD - part * tied[2]) / risk - np.outer(mean_D, mean_D)
        value += float(eta_N[died].sum())
        gradient_D += X_ND[died].sum(axis=0)
    return PartialLikelihood(float(value), gradient_D, hessian_DD)


def _moments(w_T: Floats, X_TD: Floats) -> tuple[float, Floats, Floats]:
    return float(w_T.sum()), w_T @ X_TD, (X_TD * w_T[:, None]).T @ X_TD


def _checked(time_N: Floats, event_N: Floats) -> None:
    if time_N.shape != event_N.shape or time_N.ndim != 1:
        raise InputError(f"got times {time_N.shape} and events {event_N.shape}, expected one of each a patient")
    if not np.isfinite(time_N).all() or not np.isin(event_N, (0.0, 1.0)).all():
        raise InputError("expected finite times, and events of 0 (censored) or 1")
