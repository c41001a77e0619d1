"""Laws of energy: the power that devices draw, the joules of a job at the meter of its site, and their carbon."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from sixfold.design.checks import Floats, at_least, within

__all__ = ["carbon_kg", "embodied_carbon_kg", "energy_j", "energy_usd", "site_power_w", "unit_energy_j"]


def site_power_w(
    devices: ArrayLike,
    tdp_w: ArrayLike,
    utilisation: ArrayLike,
    pue: ArrayLike = 1.0,
    *,
    idle_share: ArrayLike = 0.0,
    host_w: ArrayLike = 0.0,
) -> Floats:
    """Return the power at the meter: (devices x tdp x (idle + (1 - idle) x utilisation) + host) x PUE.

    utilisation: 0 to 1, of the power between idle and `tdp_w`, which a matrix-heavy job nears. idle_share: of the tdp
    drawn when idle. host_w: processors, memory, ports and fans of all hosts together. pue: watts at the meter for one
    at the machines, at least 1. Source: Barroso, Holzle and Ranganathan 2018, sections 5.1 and 5.3; linear in
    utilisation after Fan, Weber and Barroso, "Power provisioning for a warehouse-sized computer", ISCA 2007.
    """
    idle = within("idle_share", idle_share, 0.0, 1.0)
    drawn = idle + (1.0 - idle) * within("utilisation", utilisation, 0.0, 1.0)
    machines = at_least("devices", devices, 0.0) * at_least("tdp_w", tdp_w, 0.0) * drawn
    return np.asarray((machines + at_least("host_w", host_w, 0.0)) * at_least("pue", pue, 1.0))


def energy_j(power_w: ArrayLike, time_s: ArrayLike) -> Floats:
    """Return the joules of a power over a time. Source: Patterson et al., arXiv 2104.10350, section 2.2 (in kWh)."""
    return np.asarray(at_least("power_w", power_w, 0.0) * at_least("time_s", time_s, 0.0))


def unit_energy_j(power_w: ArrayLike, units_per_s: ArrayLike) -> Floats:
    """Return the joules of a unit of useful work: power over rate; infinite where no work is done.

    Source: Patterson et al., "Carbon emissions and large neural network training", arXiv 2104.10350, 2021, section 2.2.
    """
    power, rate = at_least("power_w", power_w, 0.0), at_least("units_per_s", units_per_s, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(power > 0.0, power / rate, 0.0))


def carbon_kg(site_energy_j: ArrayLike, kg_per_j: ArrayLike) -> Floats:
    """Return the kilograms of CO2e of joules at the meter on a grid of the given intensity.

    kg_per_j: `rate(...).base` of the catalog; 1 g/kWh is 1e-3 / 3.6e6. Source: Patterson et al. 2021, section 2.2.
    """
    return np.asarray(at_least("site_energy_j", site_energy_j, 0.0) * at_least("kg_per_j", kg_per_j, 0.0))


def embodied_carbon_kg(
    machines: ArrayLike, made_kg: ArrayLike, time_s: ArrayLike, life_s: ArrayLike, utilisation: ArrayLike = 1.0
) -> Floats:
    """Return the share of the CO2e of making machines that falls to a job: by the time it takes of their useful life.

    made_kg: of one machine. Source: Gupta et al., "ACT: designing sustainable computer systems with an architectural
    carbon modeling tool", ISCA 2022, equation 1; by utilisation after Luccioni, Viguier and Ligozat, JMLR 24, 2023.
    """
    useful_s = at_least("life_s", life_s, 1e-9) * within("utilisation", utilisation, 1e-9, 1.0)
    made = at_least("machines", machines, 0.0) * at_least("made_kg", made_kg, 0.0)
    return np.asarray(made * at_least("time_s", time_s, 0.0) / useful_s)


def energy_usd(site_energy_j: ArrayLike, usd_per_j: ArrayLike) -> Floats:
    """Return what joules at the meter cost; 1 USD/kWh is 1 / 3.6e6 a joule. Source: the catalog's price lists."""
    return np.asarray(at_least("site_energy_j", site_energy_j, 0.0) * at_least("usd_per_j", usd_per_j, 0.0))
