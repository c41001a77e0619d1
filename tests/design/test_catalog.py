from pathlib import Path

import pytest

from sixfold.design.catalog import price, prices
from sixfold.errors import ConfigError, InputError

ENTRY = """
  - {id: a, provider: P, sku: s, vcpus: 4, machine_usd_per_hour: 0.2,
     term: spot, date: 2026-01-01, source: list}
"""


def test_every_price_has_its_source_and_date() -> None:
    assert prices()
    for price_id, entry in prices().items():
        assert entry.id == price_id
        assert entry.source
        assert entry.date
        assert 0.001 < entry.usd < 1.0, "dollars an hour of one vCPU"


def test_a_worker_pays_its_share_of_the_machine() -> None:
    assert price("lambda-cpu-4x").usd == pytest.approx(0.05)


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
    ],
)
def test_a_wrong_list_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        prices(path)
