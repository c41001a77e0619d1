"""The Cox partial likelihood with Breslow's ties: from records, or from sums over records per time."""

# Shapes: N records, D features, G distinct times in ascending order.

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["RiskSums", "breslow_terms", "grid_terms", "risk_sums"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RiskSums:
    """Sums per time over the records that leave at it: additive over hospitals.

    events_G: how many died. s0_G, s1_GD, s2_GDD: of exp(x.theta), and of it times x and x x'. died_D: x of those who
    died, over all times.
    """

    events_G: Floats
    s0_G: Floats
    s1_GD: Floats
    s2_GDD: Floats
    died_D: Floats


def breslow_terms(theta_D: Floats, X_ND: Floats, time_N: Floats, event_N: Floats) -> tuple[float, Floats, Floats]:
    """The negative log partial likelihood, its gradient (D) and its Hessian (D, D), as sums over events.

    Source: Breslow, discussion of Cox, "Regression models and life-tables", JRSS B 34(2), 1972.
    """
    score_N = X_ND @ theta_D
    shift = float(score_N.max(initial=-np.inf)) if len(score_N) else 0.0
    w_N = np.exp(score_N - shift)  # the shift cancels in every ratio
    times, at_N = np.unique(time_N, return_inverse=True)
    events_G = _per_time(at_N, event_N, len(times))
    own_GD = np.zeros((len(times), X_ND.shape[1]))
    np.add.at(own_GD, at_N, w_N[:, None] * X_ND)
    s0_G, s1_GD = _at_risk(_per_time(at_N, w_N, len(times))), _at_risk(own_GD)
    hazard_N = w_N * np.cumsum(events_G / s0_G)[at_N]
    loss = float(events_G @ (np.log(s0_G) + shift) - event_N @ score_N)
    mean_GD = s1_GD / s0_G[:, None]
    hessian_DD = (X_ND * hazard_N[:, None]).T @ X_ND - (mean_GD * events_G[:, None]).T @ mean_GD
    return loss, X_ND.T @ (hazard_N - event_N), hessian_DD


def risk_sums(theta_D: Floats, X_ND: Floats, time_N: Floats, event_N: Floats, grid_G: Floats) -> RiskSums:
    """A hospital's sums over a public grid: an event's time is rounded up to it, a censored time down.

    So nobody is at risk after having left; who leaves before the first time of the grid is in no sum. grid_G:
    ascending, the last of them infinite.
    """
    at_N = np.where(
        event_N > 0, np.searchsorted(grid_G, time_N, side="left"), np.searchsorted(grid_G, time_N, side="right") - 1
    )
    seen = at_N >= 0
    at_N, X_ND, event_N = at_N[seen], X_ND[seen], event_N[seen]
    w_N = np.exp(X_ND @ theta_D)  # no shift: the hospitals would have to agree on it
    sizes = len(grid_G), X_ND.shape[1]
    s1_GD, s2_GDD = np.zeros(sizes), np.zeros((*sizes, sizes[1]))
    np.add.at(s1_GD, at_N, w_N[:, None] * X_ND)
    np.add.at(s2_GDD, at_N, w_N[:, None, None] * X_ND[:, :, None] * X_ND[:, None, :])
    return RiskSums(
        events_G=_per_time(at_N, event_N, sizes[0]),
        s0_G=_per_time(at_N, w_N, sizes[0]),
        s1_GD=s1_GD,
        s2_GDD=s2_GDD,
        died_D=event_N @ X_ND,
    )


def grid_terms(theta_D: Floats, sums: RiskSums) -> tuple[float, Floats, Floats]:
    """The same three as `breslow_terms`, over all hospitals together, from the total of their sums.

    Exact for times rounded to the grid; on a grid of all distinct event times exact for the pooled records.
    """
    some = sums.events_G > 0
    events_G = sums.events_G[some]
    s0_G, s1_GD, s2_GDD = (_at_risk(s)[some] for s in (sums.s0_G, sums.s1_GD, sums.s2_GDD))
    mean_GD = s1_GD / s0_G[:, None]
    hessian_DD = np.einsum("g,gij->ij", events_G / s0_G, s2_GDD) - (mean_GD * events_G[:, None]).T @ mean_GD
    loss = float(events_G @ np.log(s0_G) - sums.died_D @ theta_D)
    return loss, events_G @ mean_GD - sums.died_D, hessian_DD


def _at_risk(own: Floats) -> Floats:
    """From sums over those who leave at a time to sums over those who are still there at it."""
    return np.cumsum(own[::-1], axis=0)[::-1]


def _per_time(at_N: NDArray[np.intp], values_N: Floats, times: int) -> Floats:
    return np.bincount(at_N, weights=values_N, minlength=times).astype(np.float64)
