from pathlib import Path

import pytest

from sixfold.design.catalog import price, prices
from sixfold.design.catalog.devices import devices
from sixfold.design.catalog.prices import Rate, rate, rates, token_price, token_prices
from sixfold.errors import ConfigError, InputError

ENTRY = """
  - {id: a, provider: P, sku: s, vcpus: 4, machine_usd_per_hour: 0.2,
     term: spot, date: 2026-01-01, source: list}
"""
DEVICES = "vcpus: 4, devices: 2, device: l4-pcie-24gb"


def test_the_price_of_a_worker_is_plausible() -> None:
    for entry in prices().values():
        low, high = (0.2, 20.0) if entry.devices else (0.001, 1.0)
        assert low < entry.usd < high, f"{entry.id}: dollars an hour of one {entry.device or 'vCPU'}"
        assert entry.device is None or entry.device in devices(), entry.id


def test_a_worker_pays_its_share_of_the_machine(tmp_path: Path) -> None:
    assert price("lambda-cpu-4x").usd == pytest.approx(0.05)
    path = tmp_path / "prices.yaml"
    path.write_text(f"prices:{ENTRY.replace('vcpus: 4', DEVICES)}")
    assert prices(path)["a"].usd == pytest.approx(0.1), "a device where there are devices"


def test_a_committed_machine_is_cheaper_than_the_same_on_demand() -> None:
    by_sku: dict[tuple[str, str, str], dict[str, float]] = {}
    for entry in prices().values():
        by_sku.setdefault((entry.provider, entry.sku, entry.date), {})[entry.term] = entry.usd
    same = [terms for terms in by_sku.values() if "spot" in terms and "on-demand" in terms]
    assert same
    assert all(terms["spot"] < terms["on-demand"] for terms in same)
    assert price("aws-p5-48xlarge-block").usd < price("aws-p5-48xlarge-reserved").usd < price("aws-p5-48xlarge").usd


def test_tokens_written_cost_no_less_than_tokens_read() -> None:
    for entry in token_prices().values():
        cached = entry.cached_input_usd_per_million
        assert (cached or 0.0) <= entry.input_usd_per_million <= entry.output_usd_per_million, entry.id
    assert token_price("deepseek-v3").input_usd_per_token == pytest.approx(0.27e-6)


def test_rates_in_base_units() -> None:
    assert rate("egress-internet").base == pytest.approx(0.09e-9), "dollars a byte"
    assert rate("electricity-us").base * 3.6e6 == pytest.approx(0.12), "dollars a joule"
    assert rate("carbon-france").base * 3.6e6 == pytest.approx(0.056), "kilograms a joule"
    assert rate("discount-spot").base == pytest.approx(0.75), "the middle of a span"
    limits = {"USD/kWh": (0.02, 0.6), "g CO2e/kWh": (5, 1200), "W/W": (1.0, 3.0), "share": (0.0, 1.0), "USD/GB": (0, 1)}
    for entry in rates().values():
        low, high = limits.get(entry.unit, (0.0, 1e6))
        stated = [value for value in (entry.value, entry.low, entry.high) if value is not None]
        assert all(low < value < high for value in stated), entry.id


@pytest.mark.parametrize("span", [{}, {"low": 1.0}, {"low": 2.0, "high": 1.0}, {"value": 1.0, "low": 0.0, "high": 2.0}])
def test_a_rate_is_a_value_or_a_span(span: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"expected either a value|got low"):
        Rate(id="a", name="a", unit="share", source="s", date="2024", **span)


def test_an_unknown_price_lists_the_known() -> None:
    with pytest.raises(ConfigError, match="got price 'gold', expected one of lambda-cpu-4x"):
        price("gold")


def test_a_date_stays_text(tmp_path: Path) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text(f"prices:{ENTRY}")
    assert prices(path)["a"].date == "2026-01-01"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"prices:{ENTRY}{ENTRY}", "id a is given twice"),
        ("prices: []\n", "at least 1 item"),
        (f"prices:{ENTRY.replace('0.2', '-1')}", "greater than 0"),
        (f"prices:{ENTRY.replace(', source: list', '')}", "missing, expected a value"),
        (f"prices:{ENTRY.replace('vcpus: 4, ', '')}", "neither vcpus nor devices"),
        (f"prices:{ENTRY.replace('vcpus: 4', 'devices: 8')}", "devices and device belong together"),
        (f"prices:{ENTRY.replace('term: spot', 'term: sometimes')}", "got 'sometimes'"),
    ],
)
def test_a_wrong_list_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        prices(path)
