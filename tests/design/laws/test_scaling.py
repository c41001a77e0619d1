import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.design.laws.communication import AlphaBeta, fit_alpha_beta, message_time_s, scatter_gather_time_s
from sixfold.design.laws.scaling import (
    amdahl_speedup,
    amdahl_time_s,
    cost_ratio,
    cost_usd,
    efficiency,
    justification_p_star,
    justification_time_s,
    serial_fraction,
    speedup,
    whole_tasks_imbalance,
)

fractions = st.floats(0.0, 1.0)
workers = st.integers(1, 10_000)
seconds = st.floats(1e-6, 1e6)


@given(s=fractions, p=workers)
def test_amdahl_lies_between_one_and_both_its_limits(s: float, p: int) -> None:
    value = float(amdahl_speedup(s, p))
    assert 1.0 - 1e-12 <= value <= p * (1 + 1e-12)
    if s > 0:
        assert value <= (1 / s) * (1 + 1e-12)


@given(s=fractions, p=workers)
def test_amdahl_never_falls_with_workers_nor_rises_with_serial_work(s: float, p: int) -> None:
    assert amdahl_speedup(s, p + 1) >= amdahl_speedup(s, p) - 1e-9
    assert amdahl_speedup(min(1.0, s + 0.1), p) <= amdahl_speedup(s, p) + 1e-9


@given(s=fractions, p=st.integers(2, 10_000))
def test_karp_flatt_inverts_amdahl(s: float, p: int) -> None:
    assert serial_fraction(amdahl_speedup(s, p), p) == pytest.approx(s, abs=1e-9)


def test_superlinear_speedup_shows_as_a_negative_serial_fraction() -> None:
    assert serial_fraction(2.2, 2) < 0


@given(t1=seconds, p=workers, tp=seconds, price=st.floats(1e-3, 1e3))
def test_cost_ratio_is_one_over_efficiency_at_equal_prices(t1: float, p: int, tp: float, price: float) -> None:
    measured = cost_usd(p, tp, price) / cost_usd(1, t1, price)
    assert measured == pytest.approx(float(cost_ratio(efficiency(t1, p, tp))), rel=1e-9)
    assert efficiency(t1, p, tp) * p == pytest.approx(float(speedup(t1, tp)))


@given(t1=st.floats(0.0, 1e5), s=fractions, c=st.floats(0.0, 10.0), limit=st.integers(1, 10_000))
def test_p_star_is_the_argmin_over_whole_numbers(t1: float, s: float, c: float, limit: int) -> None:
    best = justification_p_star(t1, s, c, p_max=limit)
    assert 1 <= best <= limit
    candidates = np.unique(np.concatenate([np.arange(1, min(limit, 3000) + 1), [limit]]))
    times = justification_time_s(t1, s, c, candidates)
    assert justification_time_s(t1, s, c, best) <= times.min() * (1 + 1e-9) + 1e-12


def test_p_star_matches_its_closed_form() -> None:
    assert justification_p_star(100.0, 0.0, 1.0) == 10
    assert justification_p_star(100.0, 1.0, 1.0) == 1
    assert justification_p_star(10.0, 0.0, 20.0) == 1, "a worker that costs more than the work is not hired"
    assert justification_p_star(10.0, 0.5, 0.0, p_max=64) == 64


@given(t1=seconds, s=fractions, p=workers)
def test_justification_without_overhead_is_amdahl(t1: float, s: float, p: int) -> None:
    assert justification_time_s(t1, s, 0.0, p) == pytest.approx(float(amdahl_time_s(t1, s, p)))
    assert justification_time_s(t1, s, 1.0, 1) == pytest.approx(t1)


@given(
    alpha=st.floats(1e-7, 1e-1),
    beta=st.floats(1e-12, 1e-6),
    sizes=st.lists(st.integers(0, 10**8), min_size=2, max_size=12, unique=True),
)
def test_the_fit_recovers_an_exact_line(alpha: float, beta: float, sizes: list[int]) -> None:
    fitted = fit_alpha_beta(sizes, message_time_s(sizes, alpha, beta))
    assert fitted.time_s(sizes) == pytest.approx(message_time_s(sizes, alpha, beta), rel=1e-6)


@given(
    times=st.lists(st.floats(1e-6, 1.0), min_size=3, max_size=3),
)
def test_the_fit_is_never_negative(times: list[float]) -> None:
    fitted = fit_alpha_beta([1, 1000, 10**6], times)
    assert fitted.alpha_s >= 0
    assert fitted.beta_s_per_byte >= 0


def test_the_fit_stands_noise_of_a_tenth() -> None:
    sizes = np.geomspace(64, 4e6, 12)
    noise = 1 + 0.1 * np.random.default_rng(5).standard_normal(12)
    fitted = fit_alpha_beta(sizes, message_time_s(sizes, 2e-5, 1e-9) * noise)
    assert fitted.alpha_s == pytest.approx(2e-5, rel=0.15)
    assert fitted.beta_s_per_byte == pytest.approx(1e-9, rel=0.15)


@given(p=workers, size=st.integers(0, 10**9), more=st.integers(0, 10**6))
def test_scatter_gather_grows_with_workers_and_bytes(p: int, size: int, more: int) -> None:
    link = {"alpha_s": 1e-4, "beta_s_per_byte": 1e-9}
    time = scatter_gather_time_s(p, size, size, **link)
    assert time == pytest.approx(2 * p * float(message_time_s(size, **link)))
    assert scatter_gather_time_s(p + 1, size + more, size, **link) > time


def test_half_bandwidth_size() -> None:
    link = AlphaBeta(1e-4, 1e-9)
    assert link.time_s(link.half_bandwidth_bytes) == pytest.approx(2e-4)
    assert AlphaBeta(1e-4, 0.0).half_bandwidth_bytes == float("inf")


def test_laws_broadcast() -> None:
    assert amdahl_speedup([0.0, 0.5], [[1], [2]]).shape == (2, 2)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: amdahl_speedup(1.1, 2), "serial_fraction"),
        (lambda: amdahl_speedup(float("nan"), 2), "serial_fraction"),
        (lambda: amdahl_speedup(0.1, 0), "p"),
        (lambda: serial_fraction(1.0, 1), "p"),
        (lambda: efficiency(1.0, 2, 0.0), "tp_s"),
        (lambda: message_time_s(-1, 0, 0), "size_bytes"),
        (lambda: cost_ratio(0.0), "measured_efficiency"),
        (lambda: fit_alpha_beta([1, 1], [1.0, 1.0]), "sizes"),
        (lambda: fit_alpha_beta([1, 2], [1.0]), "sizes"),
    ],
)
def test_arguments_outside_their_range_are_named(call: object, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        call()  # type: ignore[operator]


@given(tasks=st.integers(1, 10_000), p=workers)
def test_whole_tasks_leave_the_busiest_worker_more_than_the_mean_but_less_than_one_more(tasks: int, p: int) -> None:
    busiest = float(whole_tasks_imbalance(tasks, p)) * tasks / p
    assert busiest == pytest.approx(round(busiest))
    assert tasks / p - 1e-9 <= busiest < tasks / p + 1
