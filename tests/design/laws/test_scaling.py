import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.design.laws.communication import AlphaBeta, fit_alpha_beta, message_time_s, scatter_gather_time_s
from sixfold.design.laws.scaling import (
    amdahl_speedup,
    amdahl_time_s,
    brent_bounds_s,
    cost_ratio,
    cost_usd,
    efficiency,
    fit_usl,
    gustafson_speedup,
    justification_p_star,
    justification_time_s,
    serial_fraction,
    speedup,
    usl_p_star,
    usl_speedup,
    weak_efficiency,
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


@given(share=fractions, p=workers)
def test_gustafson_is_amdahl_of_the_share_seen_on_p_workers(share: float, p: int) -> None:
    # Of a time of 1 on p workers, one worker would need s + (1 - s) p: its serial fraction is s over that.
    alone = share + (1 - share) * p
    assert float(gustafson_speedup(share, p)) == pytest.approx(float(amdahl_speedup(share / alone, p)), rel=1e-9)


def test_gustafsons_own_numbers() -> None:
    # Gustafson 1988: 1024 processors, serial shares .004 to .008 of three applications.
    assert gustafson_speedup([0.004, 0.006, 0.008], 1024) == pytest.approx([1020, 1018, 1016], abs=1)
    assert weak_efficiency(10.0, 12.5) == pytest.approx(0.8)


@given(st.lists(st.floats(0.01, 10.0), min_size=1, max_size=40), st.integers(1, 16), st.floats(0.0, 10.0))
def test_brent_bounds_hold_for_greedy_schedules(tasks: list[float], p: int, chain: float) -> None:
    # A chain and independent tasks beside it, each taken by whoever is free first; the chain is begun at once.
    free = [0.0] * p
    free[0] = chain
    for task in tasks:
        at = free.index(min(free))
        free[at] += task
    least, most = brent_bounds_s(sum(tasks) + chain, max(chain, *tasks), p)
    assert float(least) - 1e-9 <= max(free) <= float(most) + 1e-9
    with pytest.raises(ValueError, match="span_s"):
        brent_bounds_s(1.0, 2.0, p)


@given(
    rate=st.floats(1e-3, 1e6),
    contention=st.floats(0.0, 0.9),
    coherence=st.one_of(st.just(0.0), st.floats(1e-6, 0.1)),
)
def test_the_usl_fit_recovers_its_parameters(rate: float, contention: float, coherence: float) -> None:
    p = np.array([1, 2, 4, 8, 16, 32, 64])
    fitted = fit_usl(p, rate * usl_speedup(contention, coherence, p))
    assert fitted.rate_per_s == pytest.approx(rate, rel=1e-5)
    assert fitted.contention == pytest.approx(contention, abs=1e-5)
    assert fitted.coherence == pytest.approx(coherence, abs=1e-6)
    assert fitted.throughput_per_s(8) == pytest.approx(rate * usl_speedup(contention, coherence, 8), rel=1e-5)


@given(st.floats(0.0, 0.99), st.floats(1e-5, 0.2))
def test_throughput_is_highest_at_p_star(contention: float, coherence: float) -> None:
    best = float(usl_p_star(contention, coherence))
    around = usl_speedup(contention, coherence, np.maximum(1.0, best * np.array([0.8, 1.0, 1.25])))
    assert around[1] >= around.max() * (1 - 1e-9)


def test_without_coherence_the_usl_is_amdahl_and_never_peaks() -> None:
    assert usl_speedup(0.05, 0.0, [1, 8, 500]) == pytest.approx(amdahl_speedup(0.05, [1, 8, 500]))
    assert usl_p_star(0.05, 0.0) == np.inf
    assert usl_p_star(1.0, 0.0) == 1.0
    with pytest.raises(ValueError, match="three p"):
        fit_usl([1, 2], [10.0, 19.0])
