"""The machines that a design may choose from, with what each holds, does and costs, as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sixfold.axes import Axis
from sixfold.design.catalog.devices import Device, device
from sixfold.design.catalog.failure_rates import failure_rate
from sixfold.design.catalog.instances import Instance, instances
from sixfold.design.catalog.links import link
from sixfold.design.catalog.prices import Price, price, prices, rate
from sixfold.design.checks import Floats
from sixfold.design.spec import Platform
from sixfold.design.workload import Choice
from sixfold.errors import ConfigError

__all__ = ["Machine", "Machines", "Offer", "machine_choice", "machines_of"]

# Where the catalog has no data sheet of a machine: what a vCPU of a general-purpose machine does. A hyper-thread of a
# server core at 2.5 GHz with two 8-wide single-precision FMA units shared by two; memory channels shared by all.
_VCPU_FLOPS = 40e9
_VCPU_BYTES_PER_S = 4e9
_VCPU_MEMORY_BYTES = 2.0 * 2**30
_SERVER_FAILURE, _SPOT_FAILURE = "rsc1-node", "spot-gcp"  # per node; per machine that may be taken away


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine of the catalog. Of its devices where it has some, else of its processor; `flops` is of fp32 and bf16.

    stated: whether a data sheet stands behind it; else it is a share of a general-purpose server, by its vCPUs.
    """

    id: str
    listed: Price
    instance: Instance | None
    device: Device | None
    stated: bool

    @property
    def units(self) -> int:
        """Its devices, or its vCPUs where it has no devices."""
        return self.listed.devices or self.listed.vcpus or 1

    @property
    def vcpus(self) -> int:
        """Of the host, whatever devices it has."""
        return self.instance.vcpus if self.instance else self.listed.vcpus or 8 * self.units

    @property
    def host_bytes_per_s(self) -> float:
        """Peak of the host's memory."""
        return _VCPU_BYTES_PER_S * self.vcpus

    @property
    def memory_bytes(self) -> float:
        """Of all devices, or of the host where there are none."""
        return self.device.memory_bytes * self.units if self.device else self.host_bytes

    @property
    def host_bytes(self) -> float:
        """Memory of the host."""
        if self.instance:
            return self.instance.memory_bytes
        return _VCPU_MEMORY_BYTES * (self.listed.vcpus or 8 * self.units)

    @property
    def memory_bytes_per_s(self) -> float:
        """Peak of the memory of all devices, or of the host."""
        return self.device.memory_bytes_per_s * self.units if self.device else self.host_bytes_per_s

    @property
    def host_flops(self) -> float:
        """FLOP/s of the host in single precision."""
        return _VCPU_FLOPS * self.vcpus

    def flops(self, precision: str = "bf16") -> float:
        """Peak FLOP/s of all devices in a precision, in the next wider one it has if not in this; or of the host."""
        if self.device is None:
            return self.host_flops
        wider = {"fp8": "bf16", "int8": "bf16", "bf16": "fp16", "fp16": "fp32", "tf32": "fp32"}
        at: str | None = precision
        while at is not None:
            if at in self.device.flops:
                return self.device.flops[at] * self.units
            at = wider.get(at)
        return max(self.device.flops.values()) * self.units

    @property
    def network_bytes_per_s(self) -> float | None:
        """Out of the machine, one direction; None where nobody states it."""
        return self.instance.network_bytes_per_s if self.instance else None


@dataclass(frozen=True, slots=True)
class Offer:
    """A machine on terms: dollars an hour, and how often it fails or is taken away."""

    machine: Machine
    term: str
    usd_per_hour: float
    failures_per_hour: float
    listed_date: str

    @property
    def words(self) -> str:
        """As a person reads it."""
        return f"{self.machine.id}, {self.term}"


@dataclass(frozen=True, slots=True)
class Machines:
    """Every offer, and columns of them by the choice `machine` (an index of `offers`)."""

    offers: tuple[Offer, ...]
    alpha_s: float  # of a message between machines
    link_bytes_per_s: float

    def column(self, of: str, index: Floats) -> Floats:
        """`of` each offer that `index` names: an attribute of the offer or of its machine."""
        values = np.array([float(self._value(offer, of)) for offer in self.offers])
        return np.asarray(values[np.asarray(index, dtype=np.int64)])

    def flops(self, precision: str, index: Floats) -> Floats:
        """Peak FLOP/s of each machine that `index` names."""
        values = np.array([offer.machine.flops(precision) for offer in self.offers])
        return np.asarray(values[np.asarray(index, dtype=np.int64)])

    def network_bytes_per_s(self, index: Floats) -> Floats:
        """Out of each machine: its own port where it is stated, but no more than the link of the platform."""
        own = [offer.machine.network_bytes_per_s or np.inf for offer in self.offers]
        return np.asarray(np.minimum(np.array(own), self.link_bytes_per_s)[np.asarray(index, dtype=np.int64)])

    @staticmethod
    def _value(offer: Offer, of: str) -> float:
        value: float = getattr(offer, of) if hasattr(offer, of) else getattr(offer.machine, of)
        return value


def machines_of(platform: Platform) -> Machines:
    """Every machine of a platform on every of its terms."""
    wire = link(platform.link)
    return Machines(
        offers=tuple(_offer(_machine(name), term, platform) for name in platform.machines for term in platform.terms),
        alpha_s=wire.alpha_s * platform.alpha_factor,
        link_bytes_per_s=wire.bytes_per_s,
    )


def machine_choice(platform: Platform, axis: Axis = Axis.CLUSTER) -> Choice:
    """Which machine on which terms; tuning that knows one axis begins with the first."""
    offers = machines_of(platform).offers
    values = tuple(float(at) for at in range(len(offers)))
    return Choice("machine", axis, values, 0.0, "machine and terms", labels=tuple(offer.words for offer in offers))


def _machine(price_id: str) -> Machine:
    listed = price(price_id)
    found = instances().get(price_id.removesuffix("-spot").removesuffix("-reserved").removesuffix("-block"))
    part = device(listed.device) if listed.device else None
    return Machine(price_id, listed, found, part, stated=found is not None or part is not None)


def _offer(machine: Machine, term: str, platform: Platform) -> Offer:
    usd, listed = _usd_per_hour(machine.listed, term)
    per_hour = failure_rate(_SERVER_FAILURE).per_hour
    if term == "spot":
        per_hour += failure_rate(_SPOT_FAILURE).per_hour
    return Offer(
        machine, term, usd * platform.price_factor, per_hour * platform.failure_factor, f"{listed.id}, {listed.date}"
    )


def _usd_per_hour(listed: Price, term: str) -> tuple[float, Price]:
    """The price on these terms: the list's, or the on-demand one less the discount that the catalog has for them."""
    if listed.term in (term, "assumed"):
        return listed.machine_usd_per_hour, listed
    own: Mapping[str, Price] = {entry.term: entry for entry in prices().values() if entry.sku == listed.sku}
    if term in own:
        return own[term].machine_usd_per_hour, own[term]
    if term == "on-demand" or listed.term != "on-demand":
        raise ConfigError(
            f"got machine {listed.id!r}, whose price is {listed.term}: the catalog has none on {term} terms"
        )
    return listed.machine_usd_per_hour * (1.0 - rate(f"discount-{term}").base), listed
