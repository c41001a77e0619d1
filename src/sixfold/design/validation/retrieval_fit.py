"""Fits what is not published of searches for neighbours to calibration rows alone.

Every set of vectors has a curve of its own around that which all share: a maximum a posteriori fit, in which few rows
of a new set move its curve a little and many move it far. A set without any is predicted by the shared curve.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from sixfold.design.checks import Floats
from sixfold.design.laws.retrieval import (
    SearchCurve,
    code_noise,
    coded_first_recall,
    coded_recall,
    effort_for_recall,
    fit_search_curve,
    scaled_half_effort,
    search_recall,
)
from sixfold.design.validation.retrieval_rows import ALL, FIRST, MET, SearchRow

__all__ = ["Searches", "fit"]

_LISTS, _LENGTH = 2.0**20, 1000.0  # that half efforts refer to
_MEAN_RANK = math.exp(math.lgamma(11.0) / 10.0)  # geometric mean of the ranks of the ten nearest
_ROUNDS = 50  # of halving
_ERROR = 0.02  # of a recall, as far as the laws go
_OF_SET = (0.8, 0.2, 0.4)  # how far sets differ: deviations of the logarithms of half effort, spread and code scale
# What all share, as expected before rows are seen: logarithms and their deviations.
_SHARED = (
    (np.log(5.0), 1.5),  # half effort at 2^20 lists
    (np.log(2.0), 0.3),  # spread
    (np.log(4.0), 1.0),  # scale of a code's noise
    (0.3, 0.15),  # exponent of half efforts over lists of one length
    (0.15, 0.1),  # exponent by which they fall with the length of lists
    (np.log(1.0), 0.2),  # rate of a code: 6 dB a bit
    (np.log(2.0), 0.7),  # half effort of the graph that finds lists
    (np.log(1.0), 0.4),  # its spread
)
_GRAPH = SearchCurve(3.5, 1.7)  # expected of a graph's search list, for ten neighbours


@dataclass(frozen=True)
class Searches:
    """What calibration rows say: curves of sets of vectors by kind of index, and of all sets, and of whole sweeps."""

    shared: Floats  # as `_SHARED`
    sets: dict[str, Floats] = field(default_factory=dict)  # logarithms over the shared ones, as `_OF_SET`
    graphs: dict[str, SearchCurve] = field(default_factory=dict)
    graph: SearchCurve = _GRAPH
    piloted: dict[tuple[str, ...], SearchCurve] = field(default_factory=dict)

    def knows(self, row: SearchRow) -> bool:
        """Whether calibration rows are of its set of vectors, or of its own sweep."""
        return row.sweep in self.piloted or row.data in (self.sets if row.kind == "ivf" else self.graphs)

    def recall(self, rows: Sequence[SearchRow]) -> Floats:
        """The recall of each row at its effort."""
        half, spread, noise = self.curves(rows)
        share = search_recall([row.effort for row in rows], half, spread) * self.found(rows)
        return _counted(rows, noise, share)

    def effort(self, rows: Sequence[SearchRow]) -> Floats:
        """The effort at which the recall of each row is reached; infinite where its codes do not allow it."""
        half, spread, noise = self.curves(rows)
        # Lists that the coarse search misses are made up for by no probes: the share wanted of the others is larger.
        found = self.found(rows)
        wanted = np.array([row.recall for row in rows])
        reachable = _counted(rows, noise, found) > wanted
        low, high = np.zeros(len(rows)), np.ones(len(rows))
        for _ in range(_ROUNDS):
            share = (low + high) / 2.0
            short = _counted(rows, noise, share * found) < wanted
            low, high = np.where(short, share, low), np.where(short, high, share)
        return np.asarray(effort_for_recall(np.where(reachable, high, 1.0), half, spread))

    def found(self, rows: Sequence[SearchRow]) -> Floats:
        """The share of the nearest lists that the search for lists finds, 1 where all centroids are compared."""
        coarse = np.array([row.coarse for row in rows])
        searched = search_recall(np.maximum(coarse, 1.0), np.exp(self.shared[6]), np.exp(self.shared[7]))
        return np.where(coarse > 0.0, searched, 1.0)

    def curves(self, rows: Sequence[SearchRow]) -> tuple[Floats, Floats, Floats]:
        """Half effort, spread and noise of each row."""
        half, spread, noise = self._files(rows)
        for at, row in enumerate(rows):
            if row.sweep in self.piloted:
                half[at], spread[at], noise[at] = self.piloted[row.sweep]
            elif row.kind == "graph":
                half[at], spread[at], noise[at] = self.graphs.get(row.data, self.graph)
        return half, spread, noise

    def _files(self, rows: Sequence[SearchRow]) -> tuple[Floats, Floats, Floats]:
        """The curves that rows would have as inverted files, from the shared one and their set's."""
        stranger = np.zeros(3)
        own = np.array([self.sets.get(row.data, stranger) for row in rows]).reshape(len(rows), 3)
        lists = np.array([row.lists for row in rows])
        half = scaled_half_effort(np.exp(self.shared[0] + own[:, 0]), lists, _LISTS, max(float(self.shared[3]), 0.0))
        # The k-th neighbour of N points lies as far as the first of N / k.
        ranks = np.array([_MEAN_RANK if row.counts == ALL else 1.0 for row in rows])
        length = np.array([row.vectors for row in rows]) / lists / ranks
        half = scaled_half_effort(half, _LENGTH, length, max(float(self.shared[4]), 0.0))
        bits = np.array([row.bits or 0.0 for row in rows])
        coded = code_noise(bits, np.exp(self.shared[2] + own[:, 2]), np.exp(self.shared[5]))
        return half, np.exp(self.shared[1] + own[:, 1]), np.where(bits > 0.0, coded, 0.0)


def fit(rows: Sequence[SearchRow]) -> Searches:
    """Fit curves to the rows of `rows` that are for calibration; others are not looked at."""
    from scipy.optimize import least_squares

    given = [row for row in rows if row.row.use == "calibrate"]
    files = [row for row in given if row.kind == "ivf"]
    names = sorted({row.data for row in files})
    start = np.array([expected for expected, _ in _SHARED])
    width = np.array([deviation for _, deviation in _SHARED])
    measured = np.array([row.recall for row in files])

    def unpacked(values: Floats) -> Searches:
        own = values[len(start) :].reshape(len(names), 3)
        return Searches(values[: len(start)], dict(zip(names, own, strict=True)))

    def misses(values: Floats) -> Floats:
        apart = (values[len(start) :].reshape(len(names), 3) / np.array(_OF_SET)).ravel()
        of_rows = (unpacked(values).recall(files) - measured) / _ERROR if files else np.zeros(0)
        return np.concatenate([of_rows, (values[: len(start)] - start) / width, apart])

    found = least_squares(misses, np.concatenate([start, np.zeros(3 * len(names))])).x if files else start
    base = unpacked(found) if files else Searches(start)
    graphs, graph = _graphs([row for row in given if row.kind == "graph"])
    whole = Searches(base.shared, base.sets, graphs, graph)
    return Searches(base.shared, base.sets, graphs, graph, _pilots(whole, rows))


def _graphs(rows: Sequence[SearchRow]) -> tuple[dict[str, SearchCurve], SearchCurve]:
    """Curves of graphs by set of vectors, and their mean."""
    sweeps: dict[tuple[str, ...], list[SearchRow]] = defaultdict(list)
    for row in rows:
        sweeps[row.sweep].append(row)
    of_set: dict[str, list[Floats]] = defaultdict(list)
    for members in sweeps.values():
        efforts, recalls = [row.effort for row in members], [row.recall for row in members]
        made = fit_search_curve(efforts, recalls, expected=_GRAPH, exact=True)
        of_set[members[0].data].append(np.log(made[:2]))
    means = {name: np.mean(curves, axis=0) for name, curves in of_set.items()}
    if not means:
        return {}, _GRAPH
    graphs = {name: SearchCurve(*np.exp(mean)) for name, mean in means.items()}
    return graphs, SearchCurve(*np.exp(np.mean(list(means.values()), axis=0)))


def _pilots(known: Searches, rows: Sequence[SearchRow]) -> dict[tuple[str, ...], SearchCurve]:
    """Curves of sweeps of which some rows are for calibration and others to be predicted."""
    sweeps: dict[tuple[str, ...], list[SearchRow]] = defaultdict(list)
    for row in rows:
        sweeps[row.sweep].append(row)
    piloted = {}
    for sweep, members in sweeps.items():
        pilot = [row for row in members if row.row.use == "calibrate"]
        if not pilot or len(pilot) == len(members) or any(row.counts != pilot[0].counts for row in pilot):
            continue
        first = pilot[0]
        expected = SearchCurve(*(float(values[0]) for values in known.curves([first])))
        recalls = np.array([row.recall for row in pilot])
        if first.kind == "ivf" and first.counts != FIRST:
            recalls = recalls / known.found(pilot)
        piloted[sweep] = fit_search_curve(
            [row.effort for row in pilot],
            np.minimum(recalls, 1.0),
            expected=expected,
            sureness=(0.8, 0.2, 0.4),
            exact=first.kind == "graph" or not first.bits,
        )
    return piloted


def _counted(rows: Sequence[SearchRow], noise: Floats, share: Floats) -> Floats:
    """The recall as each row counts it, of codes with some noise over a share of the neighbours."""
    counts = np.array([row.counts for row in rows])
    return np.where(
        counts == MET,
        share,
        np.where(counts == FIRST, coded_first_recall(noise, share), coded_recall(noise, share)),
    )
