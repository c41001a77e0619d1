"""What a reader has to know of the sources of an answer: old prices, assumed ones, machines without a data sheet."""

from __future__ import annotations

import datetime
from typing import Any

from sixfold.design.catalog.dates import is_stale, latest_day
from sixfold.design.machines import Offer, machines_of
from sixfold.design.search import Found
from sixfold.design.spec import Spec

__all__ = ["flags"]


def flags(spec: Spec[Any], found: Found, at: int) -> tuple[str, ...]:
    """One sentence each; none where every source is fresh, stated and of this kind of machine."""
    said: list[str] = []
    if "machine" in found.columns:
        said += _of_offer(machines_of(spec.platform).offers[int(found.columns["machine"][at])])
    for name in ("price_factor", "alpha_factor", "failure_factor"):
        factor = getattr(spec.platform, name)
        if factor != 1.0:
            said.append(f"The platform asks what if: {name} is {factor:g}.")
    return tuple(said)


def _of_offer(offer: Offer) -> list[str]:
    machine, today = offer.machine, datetime.datetime.now(datetime.UTC).date()
    said = []
    if is_stale(machine.listed, today):
        stated = latest_day(machine.listed.date)
        if stated is None:
            said.append(f"Nobody dated the price of {machine.id} ({machine.listed.date}): {machine.listed.source}.")
        else:
            age = f"{(today - stated).days / 30.44:.0f} months old ({machine.listed.date})"
            said.append(f"The price of {machine.id} is {age}: {machine.listed.source}.")
    if machine.listed.term == "assumed":
        said.append(f"The price of {machine.id} is a planner's figure, not a list price: {machine.listed.source}.")
    elif offer.listed_date.startswith(f"{machine.listed.id},") and offer.term != machine.listed.term:
        said.append(
            f"The {offer.term} price of {machine.id} is its {machine.listed.term} price less the catalog's discount."
        )
    if not machine.stated:
        said.append(
            f"{machine.id} has no data sheet in the catalog: a share of a general-purpose server stands in for it."
        )
    return said
