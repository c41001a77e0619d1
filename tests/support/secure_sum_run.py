"""A secure sum in memory: every party and the server in one process, with parties that fall silent at a step."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from numpy.typing import NDArray

from sixfold.parts.neighbour_graph import Topology
from sixfold.parts.secure_sum import Party, SecureSumPlan
from sixfold.parts.secure_sum_server import SecureSumServer

STEPS = ("advert", "shares", "masked", "confirmation", "unmasking")

Silent = Mapping[str, str]  # party -> the first step whose message it does not send


def names(n: int) -> tuple[str, ...]:
    """n names of parties, in their order."""
    return tuple(f"site{at:03d}" for at in range(n))


def signing_keys(parties: Collection[str]) -> dict[str, Ed25519PrivateKey]:
    """A signing key for each; the same for the same names."""
    return {name: Ed25519PrivateKey.from_private_bytes(name.encode().ljust(32, b".")[:32]) for name in parties}


def session(number: int) -> bytes:
    """32 bytes for a session."""
    return number.to_bytes(32, "big")


def make_plan(
    n: int, *, ring_bits: int = 32, length: int = 8, number: int = 1, topology: Topology | None = None
) -> SecureSumPlan:
    """A plan for n parties, of which as many may drop out as leave a majority; or on a graph that is given."""
    if topology is not None:
        return SecureSumPlan(session(number), names(n), ring_bits, length, topology)
    return SecureSumPlan.of(
        session(number), names(n), dropped=(n - 1) // 2, colluding=0, ring_bits=ring_bits, length=length
    )


def vectors(plan: SecureSumPlan, seed: int) -> dict[str, NDArray[Any]]:
    """A vector of each party: any whole numbers of the ring."""
    rng = np.random.default_rng(seed)
    dtype = np.dtype(f"<u{plan.ring_bits // 8}")
    return {name: rng.integers(0, 2**plan.ring_bits, plan.length, dtype=dtype) for name in plan.parties}


def plain_sum(plan: SecureSumPlan, values: Mapping[str, NDArray[Any]], survivors: Collection[str]) -> NDArray[Any]:
    """What the sum should be, modulo 2^ring_bits."""
    total = np.zeros(plan.length, dtype=f"<u{plan.ring_bits // 8}")
    for name in survivors:
        total += values[name]
    return total


@dataclass
class Run:
    """The parties, the server, and every message that passed it: (from, to, step, bytes)."""

    plan: SecureSumPlan
    silent: Silent = field(default_factory=dict)
    change: Callable[[str, str, str, bytes], bytes] = lambda sender, receiver, step, data: data
    parties: dict[str, Party] = field(init=False)
    server: SecureSumServer = field(init=False)
    roster: dict[str, Ed25519PublicKey] = field(init=False)
    transcript: list[tuple[str, str, str, bytes]] = field(default_factory=list)
    random_bytes: Callable[[int], bytes] | None = None

    def __post_init__(self) -> None:
        keys = signing_keys(self.plan.parties)
        self.roster = {name: key.public_key() for name, key in keys.items()}
        more = {} if self.random_bytes is None else {"random_bytes": self.random_bytes}
        self.parties = {name: Party(name, self.plan, key, self.roster, **more) for name, key in keys.items()}
        self.server = SecureSumServer(self.plan, self.roster)

    def adverts(self) -> dict[str, bytes]:
        """Step 1, and what the server sends back."""
        return self._down("shares", self.server.adverts(self._up("advert", dict.fromkeys(self.parties), _advert)))

    def shares(self, sent: Mapping[str, bytes]) -> dict[str, bytes]:
        """Step 2."""
        return self._down("masked", self.server.shares(self._up("shares", sent, Party.share)))

    def masked(self, sent: Mapping[str, bytes], values: Mapping[str, NDArray[Any]]) -> tuple[str, ...]:
        """Step 3."""
        return self.server.masked(self._up("masked", sent, lambda party, data: party.mask(values[party.me], data)))

    def confirmations(self, survivors: Collection[str]) -> dict[str, bytes]:
        """Step 4."""
        asked = dict.fromkeys(survivors, survivors)
        return self._down("unmasking", self.server.confirmations(self._up("confirmation", asked, Party.confirm)))

    def unmask(self, sent: Mapping[str, bytes]) -> NDArray[Any]:
        """Step 5, and the sum."""
        self.server.unmasked(self._up("unmasking", sent, Party.unmask))
        return self.server.total()

    def total(self, values: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """All steps."""
        survivors = self.masked(self.shares(self.adverts()), values)
        return self.unmask(self.confirmations(survivors))

    def _up(self, step: str, sent: Mapping[str, Any], answer: Callable[[Party, Any], bytes]) -> dict[str, bytes]:
        messages = {}
        for name, data in sent.items():
            if step not in STEPS[: STEPS.index(self.silent.get(name, STEPS[-1])) + (name not in self.silent)]:
                continue
            messages[name] = self.change(name, "server", step, answer(self.parties[name], data))
            self.transcript.append((name, "server", step, messages[name]))
        return messages

    def _down(self, step: str, sent: Mapping[str, bytes]) -> dict[str, bytes]:
        changed = {name: self.change("server", name, step, data) for name, data in sent.items()}
        self.transcript.extend(("server", name, step, data) for name, data in changed.items())
        return changed


def _advert(party: Party, nothing: None) -> bytes:
    return party.advertise()


def counted_bytes(seed: int) -> Callable[[int], bytes]:
    """Bytes that look random and are the same every time, for tests of what is seen of a sum."""
    rng, calls = np.random.default_rng(seed), count()

    def random_bytes(size: int) -> bytes:
        next(calls)
        return rng.bytes(size)

    return random_bytes
