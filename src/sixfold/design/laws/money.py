"""Laws of money: what work costs on which terms, and from which volume on it pays to run it oneself.

Prices are of the list that the caller takes them from, with its date; nothing here knows any. utilisation: the share of
the hours paid for in which something useful is done.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from sixfold.design.checks import Floats, at_least, positive, within

__all__ = [
    "break_even_utilisation",
    "break_even_volume",
    "egress_usd",
    "machine_usd",
    "mixed_terms_usd",
    "owned_hour_usd",
    "rented_hour_usd",
    "self_hosted_hour_usd",
    "spot_hour_usd",
    "token_usd",
    "unit_usd",
]

_HOUR_S = 3600.0
_YEAR_H = 8766.0  # 365.25 days


def machine_usd(nodes: ArrayLike, time_s: ArrayLike, node_hour_usd: ArrayLike, utilisation: ArrayLike = 1.0) -> Floats:
    """Return what work costs that takes `nodes` a time at full use: price x time / utilisation.

    Infinite at a utilisation of 0. Source: Barroso, Holzle and Ranganathan, The Datacenter as a Computer, 3rd edition,
    2018, chapter 6.
    """
    hours = at_least("nodes", nodes, 0.0) * at_least("time_s", time_s, 0.0) / _HOUR_S
    return _over(hours * at_least("node_hour_usd", node_hour_usd, 0.0), within("utilisation", utilisation, 0.0, 1.0))


def unit_usd(
    nodes: ArrayLike,
    node_hour_usd: ArrayLike,
    units_per_s: ArrayLike,
    utilisation: ArrayLike = 1.0,
    *,
    kept_share: ArrayLike = 1.0,
    other_usd: ArrayLike = 0.0,
) -> Floats:
    """Return the cost of a unit of useful work: N x price / (rate x utilisation x kept), and what each costs beside it.

    units_per_s: of all nodes at full use, nothing failing. kept_share: of the work that counts (1 - wasted share, of
    `failures`). other_usd: tokens, egress. Source: as `machine_usd`.
    """
    an_hour = at_least("nodes", nodes, 0.0) * at_least("node_hour_usd", node_hour_usd, 0.0)
    useful = at_least("units_per_s", units_per_s, 0.0) * within("utilisation", utilisation, 0.0, 1.0)
    served = useful * within("kept_share", kept_share, 0.0, 1.0) * _HOUR_S
    return np.asarray(_over(an_hour, served) + at_least("other_usd", other_usd, 0.0))


def mixed_terms_usd(
    load_nodes: ArrayLike, committed_nodes: ArrayLike, on_demand_hour_usd: ArrayLike, reserved_hour_usd: ArrayLike
) -> Floats:
    """Return the cost an hour of serving a load with a commitment: reserved nodes always, the rest as needed.

    load_nodes: needed, hours along the last axis; the cost is their mean. It is least where the share of hours that
    need more than the commitment is the ratio of prices, see `break_even_utilisation`. Source: the newsvendor of Arrow,
    Harris and Marschak 1951.
    """
    load = at_least("load_nodes", load_nodes, 0.0)
    held = at_least("committed_nodes", committed_nodes, 0.0)
    beyond = np.mean(np.maximum(load - held[..., np.newaxis], 0.0), axis=-1)
    reserved = held * at_least("reserved_hour_usd", reserved_hour_usd, 0.0)
    return np.asarray(reserved + beyond * at_least("on_demand_hour_usd", on_demand_hour_usd, 0.0))


def break_even_utilisation(on_demand_hour_usd: ArrayLike, committed_hour_usd: ArrayLike) -> Floats:
    """Return the share of hours a node must be needed for a commitment, or a purchase, to pay: the ratio of prices.

    Above 1 it never does. Source: the critical ratio of the newsvendor: Arrow, Harris and Marschak, "Optimal inventory
    policy", Econometrica 19(3), 1951.
    """
    committed = at_least("committed_hour_usd", committed_hour_usd, 0.0)
    return np.asarray(committed / positive("on_demand_hour_usd", on_demand_hour_usd))


def spot_hour_usd(spot_hour_usd: ArrayLike, wasted_share: ArrayLike) -> Floats:
    """Return what an hour of useful work costs on machines that may be taken away: price / (1 - wasted share).

    wasted_share: of `failures.preempted_share`. Infinite where all is wasted. Source: Yi, Kondo and Andrzejak, IEEE
    CLOUD 2010.
    """
    return _over(at_least("spot_hour_usd", spot_hour_usd, 0.0), 1.0 - within("wasted_share", wasted_share, 0.0, 1.0))


def owned_hour_usd(
    purchase_usd: ArrayLike,
    life_years: ArrayLike,
    power_w: ArrayLike,
    energy_usd_per_j: ArrayLike,
    *,
    yearly_share: ArrayLike = 0.0,
    interest: ArrayLike = 0.0,
) -> Floats:
    """Return what a machine one has bought costs an hour: its annuity, upkeep and power.

    power_w: at the meter of the site (with its PUE). yearly_share: of the purchase, for space, spares and hands.
    interest: a year; the annuity is P i / (1 - (1 + i)^-n), P / n without. Source: Barroso, Holzle and Ranganathan
    2018, section 6.1.
    """
    price, years = at_least("purchase_usd", purchase_usd, 0.0), positive("life_years", life_years)
    i = at_least("interest", interest, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(i > 0.0, i / -np.expm1(-years * np.log1p(i)), 1.0 / years)
    power_usd = at_least("power_w", power_w, 0.0) * at_least("energy_usd_per_j", energy_usd_per_j, 0.0) * _HOUR_S
    return np.asarray(price * (share + at_least("yearly_share", yearly_share, 0.0)) / _YEAR_H + power_usd)


def token_usd(
    input_tokens: ArrayLike,
    output_tokens: ArrayLike,
    input_usd: ArrayLike,
    output_usd: ArrayLike,
    *,
    cached_share: ArrayLike = 0.0,
    cached_usd: ArrayLike | None = None,
) -> Floats:
    """Return what a request to a hosted model costs: tokens read, read from a cache, and written, each x its price.

    Prices are of one token. cached_share: of the input; `cached_usd` is the input price if None. Source: the price
    lists of the catalog, which bill so.
    """
    read, fresh = at_least("input_tokens", input_tokens, 0.0), at_least("input_usd", input_usd, 0.0)
    again = fresh if cached_usd is None else at_least("cached_usd", cached_usd, 0.0)
    held = within("cached_share", cached_share, 0.0, 1.0)
    written = at_least("output_tokens", output_tokens, 0.0) * at_least("output_usd", output_usd, 0.0)
    return np.asarray(read * ((1.0 - held) * fresh + held * again) + written)


def egress_usd(moved_bytes: ArrayLike, usd_per_byte: ArrayLike, free_bytes: ArrayLike = 0.0) -> Floats:
    """Return what bytes that leave cost, beyond those that are free. Source: the price lists of the catalog."""
    billed = np.maximum(0.0, at_least("moved_bytes", moved_bytes, 0.0) - at_least("free_bytes", free_bytes, 0.0))
    return np.asarray(billed * at_least("usd_per_byte", usd_per_byte, 0.0))


def self_hosted_hour_usd(
    volume_per_s: ArrayLike,
    node_capacity_per_s: ArrayLike,
    node_hour_usd: ArrayLike,
    *,
    fixed_hour_usd: ArrayLike = 0.0,
    least_nodes: ArrayLike = 1.0,
    most_utilisation: ArrayLike = 1.0,
) -> Floats:
    """Return the cost an hour of serving a volume oneself: a fixed part, and whole nodes, none busier than allowed.

    fixed_hour_usd: people, and what does not grow. least_nodes: for availability. most_utilisation: beyond it latency
    suffers. Source: as `machine_usd`, with nodes in whole numbers.
    """
    each = positive("node_capacity_per_s", node_capacity_per_s) * within(
        "most_utilisation", most_utilisation, 1e-9, 1.0
    )
    wanted = np.ceil(at_least("volume_per_s", volume_per_s, 0.0) / each - 1e-9)
    nodes = np.maximum(wanted, at_least("least_nodes", least_nodes, 0.0))
    price = at_least("node_hour_usd", node_hour_usd, 0.0)
    return np.asarray(at_least("fixed_hour_usd", fixed_hour_usd, 0.0) + nodes * price)


def rented_hour_usd(volume_per_s: ArrayLike, rent_usd: ArrayLike) -> Floats:
    """Return the cost an hour of a volume served elsewhere at a price a unit. Source: the catalog's price lists."""
    return np.asarray(at_least("volume_per_s", volume_per_s, 0.0) * at_least("rent_usd", rent_usd, 0.0) * _HOUR_S)


def break_even_volume(
    rent_usd: ArrayLike,
    node_capacity_per_s: ArrayLike,
    node_hour_usd: ArrayLike,
    *,
    fixed_hour_usd: ArrayLike = 0.0,
    least_nodes: ArrayLike = 1.0,
    most_utilisation: ArrayLike = 1.0,
) -> Floats:
    """Return the volume a second from which on serving it oneself never costs more than renting; infinite if none is.

    Whole nodes make the costs cross more than once; this is the last time. Just above N c the next node must be paid
    for, and own > rent there while N (c rent - price) < fixed + price; the last such N has the crossing. Source: cost,
    volume and profit with step-fixed costs: Horngren, Datar and Rajan, Cost Accounting, 14th edition, 2012, chapter 3.
    """
    c = positive("node_capacity_per_s", node_capacity_per_s) * within("most_utilisation", most_utilisation, 1e-9, 1.0)
    price, fixed = at_least("node_hour_usd", node_hour_usd, 0.0), at_least("fixed_hour_usd", fixed_hour_usd, 0.0)
    least, rent = at_least("least_nodes", least_nodes, 0.0), at_least("rent_usd", rent_usd, 0.0) * _HOUR_S
    gain = c * rent - price  # an hour, of a node that is fully used
    nodes = np.maximum(least, np.ceil(_over(fixed + price, np.maximum(gain, 0.0)) - 1e-9))
    never = (gain <= 0.0) | ~np.isfinite(nodes)
    return np.asarray(np.where(never, np.inf, _over(fixed + np.where(never, 0.0, nodes) * price, rent)))


def _over(amount: Floats, share: Floats) -> Floats:
    """Amount over share; where the share is 0, 0 of nothing and infinity of anything."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where((share <= 0.0) & (amount <= 0.0), 0.0, amount / np.maximum(share, 0.0)))
