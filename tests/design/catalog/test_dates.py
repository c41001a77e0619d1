import datetime
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.design.catalog.dates import is_stale, latest_day

DAY = datetime.date


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2024", DAY(2024, 12, 31)),
        ("2024-02", DAY(2024, 2, 29)),
        ("2024-25", DAY(2025, 12, 31)),
        ("2026-01-15", DAY(2026, 1, 15)),
        ("2026-Q1 (as stated)", DAY(2026, 3, 31)),
        ("2025-early", DAY(2025, 4, 30)),
        ("as of 2023/06", DAY(2023, 6, 30)),
        ("2026-02-30", None),
        ("catalog v6 snapshot", None),
        ("not dated (example of the guide)", None),
        ("SKU 20240", None),
    ],
)
def test_dates_as_sources_state_them(text: str, day: DAY | None) -> None:
    assert latest_day(text) == day


@given(st.dates(DAY(1990, 1, 1), DAY(2090, 1, 1)))
def test_a_full_date_is_itself_and_a_month_holds_it(day: DAY) -> None:
    assert latest_day(day.isoformat()) == day
    month = latest_day(f"{day:%Y-%m}")
    assert month is not None
    assert (month.year, month.month) == (day.year, day.month)
    assert month >= day


def test_an_entry_goes_stale_after_the_days_and_without_a_date_at_once() -> None:
    entry = SimpleNamespace(date="2026-Q1")
    assert not is_stale(entry, DAY(2026, 2, 1)), "its period has not ended"
    assert not is_stale(entry, DAY(2026, 9, 27)), "180 days"
    assert is_stale(entry, DAY(2026, 9, 28))
    assert not is_stale(entry, DAY(2026, 9, 28), days=181)
    assert is_stale(SimpleNamespace(date="some day"), DAY(2026, 1, 1))
