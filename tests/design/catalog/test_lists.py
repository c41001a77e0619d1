"""What holds for every list of the catalog, and what each list promises about its own values."""

import datetime
from collections.abc import Mapping
from typing import Any

import pytest

from sixfold.axes import Axis, Ceiling
from sixfold.design.catalog.datasets import datasets
from sixfold.design.catalog.dates import latest_day
from sixfold.design.catalog.devices import devices
from sixfold.design.catalog.failure_rates import FailureRate, failure_rate, failure_rates
from sixfold.design.catalog.instances import instances
from sixfold.design.catalog.links import link, links
from sixfold.design.catalog.prices import prices
from sixfold.design.catalog.show import KINDS
from sixfold.design.catalog.tools import tools
from sixfold.errors import ConfigError

UNDATED = {"catalog v6 snapshot", "not dated (example of the guide)", "undated"}  # as their sources leave them


@pytest.mark.parametrize("kind", KINDS)
def test_every_entry_has_an_id_a_source_and_a_date(kind: str) -> None:
    entries: Mapping[str, Any] = KINDS[kind]()
    assert entries
    for entry_id, entry in entries.items():
        assert entry.id == entry_id
        assert len(entry.source) > 5, entry_id
        day = latest_day(entry.date)
        assert (day is None) == (entry.date in UNDATED), f"{entry_id}: {entry.date}"
        assert day is None or day.year <= datetime.datetime.now(datetime.UTC).year, entry_id


def test_links_are_plausible_and_a_faster_generation_is_faster() -> None:
    for entry in links().values():
        assert 1e-7 <= entry.alpha_s <= 1.0, entry.id
        assert 1e2 <= entry.bytes_per_s <= 1e12, entry.id
    steps = ["ib-edr-100", "ib-hdr-200", "ib-ndr-400", "ib-xdr-800"]
    rates = [link(name).bytes_per_s for name in steps]
    assert rates == [12.5e9, 25e9, 50e9, 100e9]
    assert (
        link("ib-ndr-400").alpha_s < link("roce-400").alpha_s < link("eth-100").alpha_s < link("wan-hospital").alpha_s
    )


def test_nvlinks_of_a_device_add_up_to_its_scale_up_rate() -> None:
    for name, count, device_id in (("nvlink-3", 12, "a100-sxm-80gb"), ("nvlink-4", 18, "h100-sxm-80gb")):
        assert count * link(name).bytes_per_s == pytest.approx(devices()[device_id].scale_up_bytes_per_s)


def test_instances_hold_devices_of_the_catalog_and_agree_with_their_prices() -> None:
    by_sku = {(entry.provider, entry.sku): entry for entry in instances().values()}
    for entry in instances().values():
        assert entry.device is None or entry.device in devices(), entry.id
        assert entry.processor is None or devices()[entry.processor].kind == "cpu", entry.id
        assert 1 <= entry.memory_bytes / 2**30 / entry.vcpus <= 32, f"{entry.id}: GiB a vCPU"
        assert entry.network_bytes_per_s is None or 1e8 <= entry.network_bytes_per_s <= 1e12, entry.id
    shared = [(price, by_sku[key]) for price in prices().values() if (key := (price.provider, price.sku)) in by_sku]
    assert len(shared) > 30
    for price, machine in shared:
        assert (price.vcpus or machine.vcpus, price.devices, price.device) == (
            machine.vcpus, machine.devices, machine.device,
        ), price.id  # fmt: skip


def test_failure_rates_as_published() -> None:
    """Llama 3, table 5 and its section: 419 unexpected interruptions in 54 days of 2,048 nodes: 0.00379 a node-day."""
    assert failure_rate("llama3-node").per_hour * 24 == pytest.approx(0.00379, rel=1e-3)
    assert failure_rate("rsc1-node").per_hour * 24 == pytest.approx(0.0065)
    assert 1 / failure_rate("aegis-a100").per_hour / 24 == pytest.approx(400)
    everything = failure_rate("llama3-unexpected").per_hour
    causes = [failure_rate(f"llama3-{name}").per_hour for name in ("gpu", "hbm", "sram", "software", "network", "nic")]
    assert sum(causes) < everything


def test_failure_rates_are_plausible() -> None:
    limits = {"device": (1e-7, 1e-3), "node": (1e-6, 1e-2), "disk": (1e-7, 1e-5), "spot instance": (1e-4, 1.0)}
    for entry in failure_rates().values():
        low, high = limits.get(entry.of, (1e-8, 1.0))
        assert low < entry.per_hour < high, entry.id


def test_a_small_share_is_a_rate_and_a_large_one_is_not() -> None:
    def of_share(share: float) -> float:
        fields: dict[str, Any] = {"name": "a", "of": "disk", "cause": "all", "source": "s", "date": "2024"}
        return FailureRate(id="a", value=share, unit="share a day", **fields).per_hour

    assert of_share(0.001) == pytest.approx(0.001 / 24, rel=1e-3)
    assert of_share(0.9) > 0.9 / 24, "who fails again within the day is counted"
    with pytest.raises(ValueError, match="expected below 1"):
        of_share(1.0)


def test_data_sets_cover_every_ceiling_and_tools_every_axis() -> None:
    assert {entry.ceiling for entry in datasets().values()} == set(Ceiling)
    assert {axis for entry in tools().values() for axis in entry.axes} == set(Axis)
    for entry in datasets().values():
        assert entry.reads != "no" or "no loader" in entry.loader or "not taken" in entry.loader, entry.id
        assert entry.home.startswith(("http://", "https://")), entry.id
        assert (entry.items is None) == (entry.item is None), entry.id


def test_an_unknown_link_lists_the_known() -> None:
    with pytest.raises(ConfigError, match="got link 'string', expected one of nvlink-2"):
        link("string")
