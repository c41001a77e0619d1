"""Statistics of all patients by one secure sum: means, variances, histograms and the codes in use, without a row."""

# Shapes: N patients, V values of the vector that is summed, B bins, B + 1 edges.

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sixfold.errors import ConfigError, InputError
from sixfold.systems.hospital.cohort import Cohort
from sixfold.systems.hospital.data.schema import SCHEMA, Kind, Variable
from sixfold.systems.hospital.train.algorithm import Arrays, Contribution, Order, State, Total

__all__ = ["CodeSummary", "Layout", "NumberSummary", "Statistics", "from_total", "statistics_work"]

Floats = NDArray[np.float64]

# What stands before the bins of a number, and before the counts of a code's values.
_OF_NUMBER = 3  # missing, sum, sum of squares
_OF_CODE = 1  # missing


@dataclass(frozen=True, slots=True)
class Layout:
    """Which variables of the schema are summed up, in this order, and into how many equal bins a number's range is cut.

    Bins come from the schema, which is public, so that no hospital's own range is told. Raises ConfigError.
    """

    variables: tuple[str, ...]
    bins: int = 20

    def __post_init__(self) -> None:
        if unknown := [name for name in self.variables if name not in SCHEMA]:
            raise ConfigError(f"no variables {', '.join(unknown)} in the schema; there are: {', '.join(SCHEMA)}")
        if not self.variables or len(set(self.variables)) != len(self.variables) or self.bins < 1:
            raise ConfigError(f"got {self.variables} in {self.bins} bins, expected each variable once, 1 bin or more")

    @property
    def length(self) -> int:
        """V: of the vector that is summed."""
        return sum(end - start for _, start, end in self.blocks())

    def blocks(self) -> Iterator[tuple[str, int, int]]:
        """Each variable and where its numbers stand, from start to before end."""
        start = 0
        for name in self.variables:
            variable = SCHEMA[name]
            size = _OF_NUMBER + self.bins if variable.kind is Kind.NUMBER else _OF_CODE + len(variable.codes)
            yield name, start, start + size + 1  # and one for what is out of range, or no known code
            start += size + 1

    def edges(self, name: str) -> Floats:
        """Of a number's bins, B + 1, in the unit of the schema; the last bin includes its upper edge."""
        return np.linspace(SCHEMA[name].low, SCHEMA[name].high, self.bins + 1)


@dataclass(frozen=True, slots=True)
class NumberSummary:
    """Of the `count` known values within the range of the schema; mean and variance are NaN when there is none.

    variance: over `count`, not `count` - 1. missing_share: of all patients. histogram_B: patients in each bin.
    """

    count: int
    missing: int
    outside: int
    missing_share: float
    mean: float
    variance: float
    histogram_B: NDArray[np.int64]
    edges: Floats


@dataclass(frozen=True, slots=True)
class CodeSummary:
    """codes: the vocabulary, each known code with its patients. other: patients with a code that is not known."""

    count: int
    missing: int
    other: int
    missing_share: float
    codes: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Statistics:
    """One round without training; the state then holds the sum, `total` (V), for `from_total`.

    The sum is exact, so that it is not covered by differential privacy and may not be combined with it. A bin with one
    patient shows that there is one, in some hospital.
    """

    layout: Layout
    rounds: int = 1

    def init(self, seed: int) -> State:
        return State(0, {"total": np.zeros(self.layout.length)})

    def order(self, state: State) -> Order:
        settings: dict[str, float | int | str] = {
            "variables": ",".join(self.layout.variables),
            "bins": self.layout.bins,
        }
        return Order("statistics", {}, settings, self.layout.length)

    def step(self, state: State, total: Total) -> State:
        return State(state.round + 1, {"total": total.vector})


def statistics_work(order: Order, cohort: Cohort, kept: Arrays, rng: np.random.Generator) -> Contribution:
    """A hospital's part. Unlike training it reads the harmonised cohort itself, before featurising, NaN included.

    Raises InputError when the cohort lacks a variable, and ConfigError for an order that has no layout.
    """
    try:
        layout = Layout(tuple(str(order.settings["variables"]).split(",")), int(order.settings["bins"]))
    except (KeyError, ValueError) as error:
        raise ConfigError(f"statistics: no layout in the order: {error}") from None
    vector_V = np.zeros(layout.length)
    for name, start, end in layout.blocks():
        if name not in cohort.features:
            raise InputError(f"{cohort.site}: no variable {name}", field="features")
        values_N, variable = cohort.X_ND[:, cohort.features.index(name)], SCHEMA[name]
        missing = np.isnan(values_N).sum()
        known_N = values_N[~np.isnan(values_N)]
        if variable.kind is Kind.NUMBER:
            within_N = known_N[(known_N >= variable.low) & (known_N <= variable.high)]
            z_N = _scaled(variable, within_N)
            histogram_B, _ = np.histogram(within_N, layout.edges(name))
            outside = len(known_N) - len(within_N)
            vector_V[start:end] = [missing, z_N.sum(), z_N @ z_N, *histogram_B, outside]
        else:
            counts = [int((known_N == code).sum()) for code in variable.codes]
            vector_V[start:end] = [missing, *counts, len(known_N) - sum(counts)]
    return Contribution(vector_V)


def from_total(total: Total, layout: Layout) -> dict[str, NumberSummary | CodeSummary]:
    """What the sum over the hospitals says about each variable; InputError for a vector of another length."""
    if total.vector.shape != (layout.length,):
        raise InputError(f"got a sum of {total.vector.shape}, expected ({layout.length},)")
    found: dict[str, NumberSummary | CodeSummary] = {}
    for name, start, end in layout.blocks():
        block, variable = total.vector[start:end], SCHEMA[name]
        missing, outside = _whole(block[0]), _whole(block[-1])
        if variable.kind is Kind.NUMBER:
            histogram_B = np.rint(block[_OF_NUMBER:-1]).astype(np.int64)
            count = int(histogram_B.sum())
            share = _share(missing, count + outside)
            mean, variance = _moments(variable, count, float(block[1]), float(block[2]))
            found[name] = NumberSummary(count, missing, outside, share, mean, variance, histogram_B, layout.edges(name))
        else:
            codes = {code: _whole(n) for code, n in zip(variable.codes, block[_OF_CODE:-1], strict=True)}
            count = sum(codes.values())
            found[name] = CodeSummary(count, missing, outside, _share(missing, count + outside), codes)
    return found


def _scaled(variable: Variable, values_N: Floats) -> Floats:
    """Around the middle of what is typical, in half its width: squares stay small, so that fixed point holds them."""
    low, high = variable.typical
    return (values_N - (low + high) / 2) / ((high - low) / 2)


def _moments(variable: Variable, count: int, total: float, squares: float) -> tuple[float, float]:
    if count == 0:
        return float("nan"), float("nan")
    low, high = variable.typical
    scale, z = (high - low) / 2, total / count
    return (low + high) / 2 + scale * z, scale**2 * max(0.0, squares / count - z**2)


def _share(missing: int, known: int) -> float:
    return missing / (missing + known) if missing + known else float("nan")


def _whole(value: float) -> int:
    return round(float(value))
