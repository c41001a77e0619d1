"""Laws of stragglers against simulated steps."""

import numpy as np
import pytest

from sixfold.design.laws.stragglers import (
    backup_gain,
    slowest_exponential_s,
    slowest_lognormal_s,
    straggler_slowdown,
)


@pytest.mark.parametrize(("workers", "backups"), [(1, 0), (8, 0), (50, 4)])
def test_the_mean_of_the_slowest_is_that_of_a_simulation(workers: int, backups: int) -> None:
    rng = np.random.default_rng(2)
    shape = (40_000, workers + backups)
    waits = np.sort(rng.exponential(3.0, shape), axis=1)[:, workers - 1].mean()
    assert slowest_exponential_s(workers, 3.0, backups=backups) == pytest.approx(waits, rel=0.01)
    skewed = np.sort(3.0 * np.exp(0.4 * rng.standard_normal(shape)), axis=1)[:, workers - 1].mean()
    assert slowest_lognormal_s(workers, 3.0, 0.4, backups=backups) == pytest.approx(skewed, rel=0.01)


def test_slowdown_grows_with_workers_and_spread_and_falls_with_backups() -> None:
    assert straggler_slowdown(1, 0.3) == pytest.approx(1.0, abs=1e-3)
    grid = straggler_slowdown(np.array([[2.0], [64.0], [1024.0]]), [0.0, 0.05, 0.2])
    assert np.all(np.diff(grid, axis=0) >= -1e-12)
    assert np.all(np.diff(grid, axis=1) > 0)
    assert straggler_slowdown(64, 0.2, backups=4) < straggler_slowdown(64, 0.2)


def test_backups_pay_only_where_times_spread() -> None:
    assert backup_gain(100, 5, 1.0) > 1.0 > backup_gain(100, 5, 0.01)
