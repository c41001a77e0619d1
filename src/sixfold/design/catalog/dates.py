"""Dates as sources state them ("2024-02", "2026-Q1", "2025-early"), and when a price is too old to rest on."""

from __future__ import annotations

import calendar
import datetime
import re
from typing import Protocol

__all__ = ["STALE_DAYS", "Dated", "is_stale", "latest_day"]

STALE_DAYS = 180
_LAST_MONTH = {"q1": 3, "q2": 6, "q3": 9, "q4": 12, "early": 4, "mid": 8, "late": 12}
_PERIOD = re.compile(r"(?P<year>(?:19|20)\d{2})(?:[-/ ]?(?P<rest>q[1-4]|early|mid|late|\d{2}(?:[-/]\d{2})?))?(?![\d])")


class Dated(Protocol):
    """Anything of the catalog: it carries the date that its source gives."""

    @property
    def date(self) -> str:
        """As the source states it."""


def latest_day(text: str) -> datetime.date | None:
    """Return the last day of the period that a source states; None where it states none.

    "2024-02" ends with that February, "2025" with December, "2026-Q1" with March; "2025-early" is taken as its first
    four months; two digits that are no month are the second year of a span ("2024-25").
    """
    found = _PERIOD.search(text.lower())
    if found is None:
        return None
    year, rest = int(found["year"]), found["rest"]
    if rest is None:
        return datetime.date(year, 12, 31)
    if rest in _LAST_MONTH:
        return _month_end(year, _LAST_MONTH[rest])
    month, _, day = rest.replace("/", "-").partition("-")
    if not 1 <= int(month) <= 12:
        return datetime.date(max(year, year // 100 * 100 + int(month)), 12, 31)
    if day:
        try:
            return datetime.date(year, int(month), int(day))
        except ValueError:
            return None
    return _month_end(year, int(month))


def is_stale(entry: Dated, today: datetime.date, days: int = STALE_DAYS) -> bool:
    """Return whether an entry is older than `days` on the day `today`, or does not say how old it is."""
    stated = latest_day(entry.date)
    return stated is None or (today - stated).days > days


def _month_end(year: int, month: int) -> datetime.date:
    return datetime.date(year, month, calendar.monthrange(year, month)[1])
