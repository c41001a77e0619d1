"""Laws of energy against published figures, and what must hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.design.laws.energy import (
    carbon_kg,
    embodied_carbon_kg,
    energy_j,
    energy_usd,
    site_power_w,
    unit_energy_j,
)


def test_the_training_of_gpt3_by_its_published_inputs() -> None:
    """Patterson et al. 2021, table 4: 10,000 V100 at 330 W for 14.8 days, PUE 1.10, .429 kg/kWh: 1,287 MWh, 552 t."""
    joules = energy_j(site_power_w(10_000, 330.0, 1.0, 1.10), 14.8 * 86400)
    assert joules / 3.6e9 == pytest.approx(1287, rel=0.01)
    assert carbon_kg(joules, 0.429 / 3.6e6) == pytest.approx(552e3, rel=0.01)


def test_power_between_idle_and_full() -> None:
    assert site_power_w(8, 700.0, 0.0, 1.2, idle_share=0.1, host_w=1000.0) == pytest.approx((560 + 1000) * 1.2)
    assert site_power_w(8, 700.0, 1.0, 1.2, idle_share=0.1, host_w=1000.0) == pytest.approx((5600 + 1000) * 1.2)
    with pytest.raises(ValueError, match="pue"):
        site_power_w(1, 1.0, 1.0, 0.9)


def test_of_a_unit_and_of_making() -> None:
    assert unit_energy_j(500.0, 20.0) == pytest.approx(25.0)
    assert unit_energy_j(0.0, 0.0) == 0.0
    assert embodied_carbon_kg(2, 1500.0, 86400, 4 * 365 * 86400, 0.5) == pytest.approx(3000 / (2 * 365))


@given(st.floats(0, 1), st.floats(0, 1), st.floats(1, 2), st.floats(0, 1))
def test_more_use_or_overhead_never_takes_less(use: float, more: float, pue: float, idle: float) -> None:
    low, high = sorted((use, more))
    power = site_power_w(8, 700.0, low, pue, idle_share=idle)
    assert site_power_w(8, 700.0, high, pue, idle_share=idle) >= power - 1e-9
    assert energy_usd(energy_j(power, 10.0), 1e-8) >= energy_usd(energy_j(power / pue, 10.0), 1e-8)
