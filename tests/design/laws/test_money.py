"""Laws of money: what must hold whatever the prices, and break-evens against a search."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.design.laws.money import (
    break_even_utilisation,
    break_even_volume,
    egress_usd,
    machine_usd,
    mixed_terms_usd,
    owned_hour_usd,
    rented_hour_usd,
    self_hosted_hour_usd,
    spot_hour_usd,
    token_usd,
    unit_usd,
)

PRICE, SHARE, TIMES = st.floats(0.0, 1e4), st.floats(0.01, 1.0), st.floats(1.0, 100.0)


def test_work_costs_its_hours_over_their_use() -> None:
    assert machine_usd(4, 7200, 3.0, 0.5) == pytest.approx(48.0)
    assert machine_usd(1, 3600, 1.0, 0.0) == np.inf
    assert unit_usd(2, 3.6, 10.0, 0.5, kept_share=0.8, other_usd=1e-3) == pytest.approx(7.2 / 14_400 + 1e-3)
    assert spot_hour_usd(1.0, 0.2) == pytest.approx(1.25)
    assert spot_hour_usd(1.0, 1.0) == np.inf


@given(PRICE, SHARE, SHARE, TIMES)
def test_cost_never_falls_when_a_price_rises(price: float, use: float, kept: float, times: float) -> None:
    dearer = price * times
    for low, high in (
        (machine_usd(3, 100.0, price, use), machine_usd(3, 100.0, dearer, use)),
        (unit_usd(3, price, 5.0, use, kept_share=kept), unit_usd(3, dearer, 5.0, use, kept_share=kept)),
        (spot_hour_usd(price, 1 - kept), spot_hour_usd(dearer, 1 - kept)),
        (mixed_terms_usd([1.0, 5.0, 9.0], 4.0, price, 1.0), mixed_terms_usd([1.0, 5.0, 9.0], 4.0, dearer, 1.0)),
        (mixed_terms_usd([1.0, 5.0, 9.0], 4.0, 1.0, price), mixed_terms_usd([1.0, 5.0, 9.0], 4.0, 1.0, dearer)),
        (owned_hour_usd(price, 4, 500.0, 2e-8), owned_hour_usd(dearer, 4, 500.0, 2e-8)),
        (token_usd(900, 100, price, 1.0, cached_share=kept), token_usd(900, 100, dearer, 1.0, cached_share=kept)),
        (token_usd(900, 100, 1.0, price), token_usd(900, 100, 1.0, dearer)),
        (egress_usd(1e9, price), egress_usd(1e9, dearer)),
        (self_hosted_hour_usd(7.0, 2.0, price), self_hosted_hour_usd(7.0, 2.0, dearer)),
        (rented_hour_usd(7.0, price), rented_hour_usd(7.0, dearer)),
    ):
        assert high >= low * (1 - 1e-12)
    assert unit_usd(3, price, 5.0, use) >= unit_usd(3, price, 5.0, 1.0)


def test_the_best_commitment_covers_the_hours_of_the_price_ratio() -> None:
    load = np.linspace(0.0, 100.0, 10_001)  # needed for every share of hours alike
    committed = np.arange(0.0, 101.0)
    cost = mixed_terms_usd(load[np.newaxis, :], committed, 4.0, 1.0)
    assert break_even_utilisation(4.0, 1.0) == 0.25
    assert committed[np.argmin(cost)] == pytest.approx(75.0, abs=1.0)  # the 76th is needed for less than a quarter


def test_owning_is_an_annuity_and_its_power() -> None:
    plain = owned_hour_usd(87_660.0, 10, 1000.0, 0.10 / 3.6e6)
    assert plain == pytest.approx(1.0 + 0.10)
    lent = owned_hour_usd(87_660.0, 10, 0.0, 0.0, interest=0.05)
    assert lent == pytest.approx(10 * 0.05 / (1 - 1.05**-10))


def test_a_request_by_tokens_and_bytes() -> None:
    assert token_usd(1000, 100, 3e-6, 15e-6) == pytest.approx(0.0045)
    assert token_usd(1000, 100, 3e-6, 15e-6, cached_share=0.5, cached_usd=3e-7) == pytest.approx(0.00315)
    assert egress_usd(150e9, 0.09e-9, 100e9) == pytest.approx(4.5)


@given(
    st.floats(1e-6, 1e-2), st.floats(0.1, 1e3), st.floats(0.01, 100.0), st.floats(0.0, 500.0), st.integers(0, 5), SHARE
)
def test_beyond_the_break_even_owning_never_costs_more_and_just_before_it_does(
    rent: float, capacity: float, price: float, fixed: float, least: int, most: float
) -> None:
    held = {"fixed_hour_usd": fixed, "least_nodes": least, "most_utilisation": most}
    volume = float(break_even_volume(rent, capacity, price, **held))
    if not np.isfinite(volume):
        assert capacity * most * rent * 3600 <= price
        return
    each = capacity * most
    if volume > 0 and volume / each < 1e5:  # beyond it a node is less than rounding
        assert self_hosted_hour_usd(volume, capacity, price, **held) == pytest.approx(
            float(rented_hour_usd(volume, rent)), rel=1e-4
        )
        started = max(np.ceil(volume / each - 1e-6) - 1, 0.0)
        start = started * each if volume > least * each else 0.0  # of the last node's part
        if volume - start > 1e-3 * each:
            before = (start + volume) / 2
            assert self_hosted_hour_usd(before, capacity, price, **held) > rented_hour_usd(before, rent)
        after = volume * np.geomspace(1 + 1e-6, 1e3, 2000)
        assert np.all(self_hosted_hour_usd(after, capacity, price, **held) <= rented_hour_usd(after, rent) * (1 + 1e-9))
