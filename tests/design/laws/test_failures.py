"""Laws of failures against a simulation, published figures and one another."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.design.laws.failures import (
    daly_interval_s,
    effective_time_ratio,
    expected_interruptions,
    first_order_time_ratio,
    interruption_probability,
    job_mtbf_s,
    optimal_interval_s,
    preempted_share,
    rate_from_share_per_hour,
    wasted_share,
    young_interval_s,
)

RSC_PER_HOUR = 0.0065 / 24.0  # of a node of RSC-1, Kokolis et al. 2025


def test_mean_times_that_the_authors_of_rsc_project() -> None:
    np.testing.assert_allclose(job_mtbf_s([2048, 16384], RSC_PER_HOUR) / 3600.0, [1.8, 0.23], rtol=0.025)
    assert job_mtbf_s(10, 0.0) == np.inf


def test_interruptions_and_their_chance() -> None:
    assert expected_interruptions(2048, 419 / (2048 * 54 * 24), 54 * 86400) == pytest.approx(419)  # Llama 3, table 5
    per_hour = rate_from_share_per_hour(0.015, 86400)
    assert interruption_probability(125, per_hour, 86400) == pytest.approx(0.848, abs=0.001)  # C4: 1,000 devices


def test_an_outage_of_the_whole_of_a_period_is_endless() -> None:
    assert rate_from_share_per_hour(1.0, 86400) == np.inf


def simulate(work_s: float, checkpoint_s: float, restart_s: float, mtbf_s: float, wait_s: float, rng: object) -> float:
    """A job run second by second in a plain loop: the share of its time that counted."""
    assert isinstance(rng, np.random.Generator)
    now, done, fails_in, restarting = 0.0, 0.0, rng.exponential(mtbf_s), 0.0
    for _ in range(40_000):
        needed = restarting if restarting else work_s + checkpoint_s
        if fails_in < needed:
            now += fails_in + wait_s
            fails_in, restarting = rng.exponential(mtbf_s), restart_s
        else:
            now, fails_in = now + needed, fails_in - needed
            done, restarting = done + (0.0 if restarting else work_s), 0.0
    return done / now


@pytest.mark.parametrize(
    ("work_s", "checkpoint_s", "restart_s", "mtbf_s", "wait_s"),
    [(600, 30, 300, 7200, 0), (1800, 300, 900, 3600, 0), (3600, 60, 120, 3600, 1800)],
)
def test_the_ratio_is_that_of_a_simulated_job(
    work_s: float, checkpoint_s: float, restart_s: float, mtbf_s: float, wait_s: float
) -> None:
    simulated = simulate(work_s, checkpoint_s, restart_s, mtbf_s, wait_s, np.random.default_rng(3))
    law = effective_time_ratio(work_s, checkpoint_s, restart_s, mtbf_s, wait_s=wait_s)
    assert law == pytest.approx(simulated, rel=0.02)


def test_first_order_and_exact_agree_while_failures_are_rare() -> None:
    exact = effective_time_ratio(1000.0, 10.0, 60.0, 1e6)
    assert first_order_time_ratio(1000.0, 10.0, 60.0, 1e6) == pytest.approx(float(exact), rel=1e-4)
    queued = first_order_time_ratio(1000.0, 10.0, 60.0, 1e6, wait_s=5e4, work_s=1e6)
    assert queued == pytest.approx(0.99 / 1.11, rel=0.02)
    assert first_order_time_ratio(1000.0, 10.0, 60.0, 100.0) == 0.0


@given(st.floats(0.1, 1e4), st.floats(10.0, 1e7), st.floats(0.0, 1e3))
def test_the_best_interval_is_the_best(checkpoint_s: float, mtbf_s: float, restart_s: float) -> None:
    best = float(optimal_interval_s(checkpoint_s, mtbf_s))
    assert 0.0 < best <= mtbf_s * (1 + 1e-9)
    lost = effective_time_ratio([0.8 * best, best, 1.25 * best], checkpoint_s, restart_s, mtbf_s)
    assert lost[1] >= max(lost[0], lost[2])
    if checkpoint_s < mtbf_s / 4:  # Daly's series is within a per cent there, Young's within some
        assert daly_interval_s(checkpoint_s, mtbf_s) == pytest.approx(best, rel=0.01)
        assert young_interval_s(checkpoint_s, mtbf_s) >= best


@given(st.floats(1.0, 1e5), st.floats(0.0, 1e3), st.floats(0.0, 1e4), st.floats(10.0, 1e8), st.floats(1.01, 10.0))
def test_more_of_anything_bad_never_wastes_less(
    work_s: float, checkpoint_s: float, restart_s: float, mtbf_s: float, times: float
) -> None:
    lost = wasted_share(work_s, checkpoint_s, restart_s, mtbf_s)
    assert 0.0 <= lost <= 1.0
    assert wasted_share(work_s, checkpoint_s * times, restart_s, mtbf_s) >= lost - 1e-12
    assert wasted_share(work_s, checkpoint_s, restart_s * times, mtbf_s) >= lost - 1e-12
    assert wasted_share(work_s, checkpoint_s, restart_s, mtbf_s / times) >= lost - 1e-12
    assert wasted_share(work_s, checkpoint_s, restart_s, mtbf_s, wait_s=times) >= lost - 1e-12


def test_nothing_is_wasted_where_nothing_fails_and_all_where_nothing_is_finished() -> None:
    assert wasted_share(1000.0, 0.0, 60.0, np.inf) == 0.0
    assert wasted_share(1e6, 10.0, 60.0, 100.0) == pytest.approx(1.0)


def test_notice_saves_the_work_since_the_last_checkpoint() -> None:
    told = preempted_share(8, 0.05, 120.0, 60.0, 300.0)
    untold = preempted_share(8, 0.05, 30.0, 60.0, 300.0)
    assert told == pytest.approx(1 - np.exp(-360 / 9000), rel=1e-6)
    assert untold > told
    assert untold == pytest.approx(float(wasted_share(optimal_interval_s(60.0, 9000.0), 60.0, 300.0, 9000.0)))
    assert preempted_share(8, 0.0, 0.0, 60.0, 300.0) == pytest.approx(0.0, abs=1e-9)
    assert preempted_share(8, 0.05, 120.0, 60.0, 300.0, failures_per_hour=0.01) > told


def test_a_hundred_thousand_designs_at_once() -> None:
    m = job_mtbf_s(np.geomspace(1, 1e5, 100_000), 3e-4)
    share = wasted_share(daly_interval_s(30.0, m), 30.0, 600.0, m)
    assert share.shape == (100_000,)
    assert np.all(np.diff(share) >= 0)


@pytest.mark.parametrize("mtbf_s", [0.0, -1.0, np.nan])
def test_a_mean_time_that_is_none_is_refused(mtbf_s: float) -> None:
    with pytest.raises(ValueError, match="mtbf_s"):
        young_interval_s(1.0, mtbf_s)
