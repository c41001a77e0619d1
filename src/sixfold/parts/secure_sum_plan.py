"""What all parties of one secure sum know and agree on before it starts; no secrets."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np

from sixfold.errors import ConfigError, UserError
from sixfold.parts.neighbour_graph import MOST_PARTIES, Topology, choose_topology, least_cut, ring_order

__all__ = ["SESSION_BYTES", "SecureSumPlan", "SecureSumRefused"]

SESSION_BYTES = 32
_MOST_LENGTH = 1 << 30


class SecureSumRefused(UserError):  # noqa: N818
    """A message of a secure sum is not what it should be, or an answer to it would tell more than the sum."""


@dataclass(frozen=True, slots=True)
class SecureSumPlan:
    """One secure sum of one vector of each party.

    session: 32 bytes that no other secure sum has, ever. parties: names in their order. length: of the vectors, of
    whole numbers modulo 2^ring_bits. neighbours and digest follow from the rest; whatever is signed or derived
    includes the digest, so that parties which were told different plans cannot be summed.
    """

    session: bytes
    parties: tuple[str, ...]
    ring_bits: int
    length: int
    topology: Topology
    order: tuple[int, ...] = field(init=False, repr=False, compare=False)
    numbers: Mapping[str, int] = field(init=False, repr=False, compare=False)
    neighbours: Mapping[str, tuple[str, ...]] = field(init=False, repr=False, compare=False)
    digest: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        n, shape = len(self.parties), self.topology
        if len(self.session) != SESSION_BYTES:
            raise ConfigError(f"got a session of {len(self.session)} bytes, expected {SESSION_BYTES}")
        if not 2 <= n <= MOST_PARTIES or list(self.parties) != sorted(set(self.parties)) or not all(self.parties):
            raise ConfigError(f"got {n} parties, expected 2 to {MOST_PARTIES} different names in their order")
        if self.ring_bits not in (32, 64) or not 1 <= self.length <= _MOST_LENGTH:
            raise ConfigError(
                f"got ring_bits={self.ring_bits}, length={self.length}, expected 32 or 64 and 1 to {_MOST_LENGTH}"
            )
        sparse = shape.degree < n - 1
        if not (
            (shape.degree == n - 1 or (sparse and shape.degree % 2 == 0 and shape.degree >= 2 and shape.cut >= 1))
            and 2 <= shape.threshold <= shape.degree + 1
            and n // 2 < shape.quorum <= n
        ):
            raise ConfigError(f"{shape} does not fit {n} parties: use choose_topology")
        order = ring_order(self.session, self.parties)
        put = object.__setattr__
        put(self, "order", order)
        put(self, "numbers", {name: at for at, name in enumerate(self.parties)})
        put(self, "neighbours", _neighbours(self.parties, order, shape.degree))
        said = (self.session.hex(), self.parties, self.ring_bits, self.length)
        agreed = (shape.degree, shape.threshold, shape.quorum, shape.cut)
        put(self, "digest", hashlib.sha256(repr((said, agreed)).encode()).digest())

    @staticmethod
    def of(
        session: bytes, parties: Collection[str], *, dropped: int, colluding: int, ring_bits: int, length: int
    ) -> SecureSumPlan:
        """The plan whose graph is chosen for so many parties dropping out, and so many working with the server.

        Raises ConfigError as `choose_topology` does.
        """
        topology = choose_topology(len(parties), dropped, colluding)
        return SecureSumPlan(session, tuple(sorted(parties)), ring_bits, length, topology)

    @property
    def vector_bytes(self) -> int:
        """Of one vector as it is sent."""
        return self.length * self.ring_bits // 8

    def check(self, survivors: Collection[str]) -> None:
        """Raise SecureSumRefused unless a sum over these parties can be completed and hides each of them."""
        chosen, shape = set(survivors), self.topology
        if len(chosen) != len(survivors) or not chosen <= self.numbers.keys():
            raise SecureSumRefused("got survivors that are named twice or not parties, expected parties of the plan")
        if len(chosen) < shape.quorum:
            raise SecureSumRefused(f"got {len(chosen)} survivors of {len(self.parties)}, expected {shape.quorum}")
        if shape.degree == len(self.parties) - 1:
            return
        for name in chosen:
            if (held := 1 + len(chosen.intersection(self.neighbours[name]))) < shape.threshold:
                raise SecureSumRefused(f"{held} holders of secrets of {name} survive, {shape.threshold} are needed")
        present_N = np.array([self.parties[at] in chosen for at in self.order])
        if (cut := least_cut(present_N, shape.degree // 2)) < shape.cut:
            raise SecureSumRefused(f"the survivors hang together by {cut} parties, {shape.cut} are needed")


def _neighbours(parties: tuple[str, ...], order: tuple[int, ...], degree: int) -> dict[str, tuple[str, ...]]:
    n = len(parties)
    if degree == n - 1:
        return {name: tuple(other for other in parties if other != name) for name in parties}
    steps = [step for half in range(1, degree // 2 + 1) for step in (-half, half)]
    return {
        parties[at]: tuple(parties[other] for other in sorted(order[(place + step) % n] for step in steps))
        for place, at in enumerate(order)
    }
