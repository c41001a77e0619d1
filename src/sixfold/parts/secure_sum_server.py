"""The server of a secure sum: it forwards messages, adds up masked vectors, and takes the masks off the sum."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from numpy.typing import NDArray

from sixfold.errors import InputError
from sixfold.parts.mask_stream import add_masks
from sixfold.parts.secure_sum import agreed_key, check_roster, commitment, own_key
from sixfold.parts.secure_sum_messages import (
    ADVERT_BYTES,
    KEY_BYTES,
    SEALED_BYTES,
    SIGNATURE_BYTES,
    Step,
    joined,
    joined_confirmations,
    masked_head,
    masked_statement,
    opened,
    parted,
    set_bytes,
    set_of,
)
from sixfold.parts.secure_sum_plan import SecureSumPlan, SecureSumRefused
from sixfold.parts.shamir import SHARE_BYTES, combine

__all__ = ["SecureSumServer"]

_T = TypeVar("_T")
_MOST_REASONS = 5  # in one error


class SecureSumServer:
    """One secure sum. Each method takes one message of every party that answered, and gives what to send to whom next.

    A party whose message is missing or wrong has dropped out; `refused` says why. Methods raise SecureSumRefused when
    too few are left: start again with another session.
    """

    def __init__(self, plan: SecureSumPlan, roster: Mapping[str, Ed25519PublicKey]) -> None:
        check_roster(plan, roster)
        self.plan, self.refused = plan, dict[str, str]()
        self._roster = roster
        self._adverts: dict[str, bytes] = {}
        self._shared: tuple[str, ...] = ()
        self._statements: dict[str, bytes] = {}  # signed, of the masked vectors
        self._collected: dict[str, dict[int, bytes]] = {}  # by owner and number of the holder
        self._sum: NDArray[Any] = np.zeros(plan.length, dtype=f"<u{plan.ring_bits // 8}")
        self._unmasked = False

    @property
    def survivors(self) -> tuple[str, ...]:
        """Whose vectors are in the sum."""
        return tuple(sorted(self._statements))

    def adverts(self, messages: Mapping[str, bytes]) -> dict[str, bytes]:
        """After step 1: to each party that advertised, the adverts of its neighbours."""

        def read(name: str, data: bytes) -> bytes:
            opened(self._roster, self.plan, Step.ADVERT, name, data, ADVERT_BYTES)
            return data

        self._adverts = self._read(messages, self.plan.parties, read)
        return {name: joined(self.plan, _of(self._adverts, self.plan.neighbours[name])) for name in self._adverts}

    def shares(self, messages: Mapping[str, bytes]) -> dict[str, bytes]:
        """After step 2: to each party that shared, what its neighbours encrypted for it."""
        plan = self.plan

        def read(name: str, data: bytes) -> dict[str, bytes]:
            receivers = self._adverts.keys() & set(plan.neighbours[name])
            size = SIGNATURE_BYTES + len(receivers) * (2 + SEALED_BYTES)
            body = opened(self._roster, plan, Step.SHARES, name, data, size)
            return parted(plan, body, SEALED_BYTES, receivers, "shares")

        sealed = self._read(messages, self._adverts, read)
        self._shared = tuple(sealed)
        return {
            name: joined(plan, {other: sealed[other][name] for other in plan.neighbours[name] if other in sealed})
            for name in sealed
        }

    def masked(self, messages: Mapping[str, bytes]) -> tuple[str, ...]:
        """After step 3: the list of survivors, to be confirmed by each of them. Vectors are added up and not kept."""
        plan = self.plan
        start = SIGNATURE_BYTES + set_bytes(plan)

        def read(name: str, data: bytes) -> bytes:
            if not isinstance(data, bytes) or len(data) != start + plan.vector_bytes:
                raise SecureSumRefused(f"{name}: expected a masked vector of {start + plan.vector_bytes} bytes")
            partners, vector = data[SIGNATURE_BYTES:start], memoryview(data)[start:]
            if partners != set_of(plan, set(plan.neighbours[name]).intersection(self._shared)):
                raise SecureSumRefused(f"{name}: its vector is masked with others than those whose shares it was sent")
            statement = data[:SIGNATURE_BYTES] + masked_statement(partners, vector)
            opened(self._roster, plan, Step.MASKED, name, statement, masked_head(plan))
            self._sum += np.frombuffer(vector, dtype=self._sum.dtype)
            return statement

        self._statements = self._read(messages, self._shared, read)
        try:
            plan.check(self.survivors)
        except SecureSumRefused as error:
            raise self._too_few(str(error)) from None
        return self.survivors

    def confirmations(self, messages: Mapping[str, bytes]) -> dict[str, bytes]:
        """After step 4: to each survivor that confirmed, a quorum of confirmations and what else it has to check."""
        plan, agreed = self.plan, set_of(self.plan, self._statements)

        def read(name: str, data: bytes) -> bytes:
            size = SIGNATURE_BYTES + len(agreed)
            opened(self._roster, plan, Step.CONFIRMATION, name, data + agreed, size)
            return data

        confirmed = self._read(messages, self._statements, read)
        quorum = dict(list(confirmed.items())[: plan.topology.quorum])
        return {
            name: joined_confirmations(plan, quorum, _of(self._statements, plan.neighbours[name])) for name in confirmed
        }

    def unmasked(self, messages: Mapping[str, bytes]) -> None:
        """After step 5: keep the shares."""
        plan = self.plan

        def read(name: str, data: bytes) -> dict[str, bytes]:
            owners = {name, *set(plan.neighbours[name]).intersection(self._shared)}
            size = SIGNATURE_BYTES + len(owners) * (2 + SHARE_BYTES)
            body = opened(self._roster, plan, Step.UNMASKING, name, data, size)
            return parted(plan, body, SHARE_BYTES, owners, "shares")

        for holder, shares in self._read(messages, self._statements, read).items():
            for owner, share in shares.items():
                self._collected.setdefault(owner, {})[plan.numbers[holder] + 1] = share

    def total(self) -> NDArray[Any]:
        """The sum of the survivors' vectors modulo 2^ring_bits.

        Raises SecureSumRefused when a secret has too few shares, or shares that do not give what its owner advertised.
        """
        if not self._unmasked:
            # All secrets before the first mask: what fails leaves the sum as it was.
            seeds = {name: self._secret(name, self._seed_of) for name in self.survivors}
            lost = [name for name in self._shared if name not in self._statements]
            keys = {name: self._secret(name, self._key_of) for name in lost if self._partners(name)}
            own = (own_key(self.plan, name, seed) for name, seed in seeds.items())
            # Of two, the first in their order has added the mask of both.
            add_masks(self._sum, self._pairs(keys, survivor_first=False), own)
            add_masks(self._sum, (), self._pairs(keys, survivor_first=True))
            self._unmasked = True
        return self._sum

    def _pairs(self, keys: Mapping[str, bytes], *, survivor_first: bool) -> Iterator[bytes]:
        """Keys of the masks that survivors share with those that were lost."""
        for lost, secret in keys.items():
            private = X25519PrivateKey.from_private_bytes(secret)
            for name in self._partners(lost):
                if (name < lost) == survivor_first:
                    public = self._adverts[name][SIGNATURE_BYTES : SIGNATURE_BYTES + KEY_BYTES]
                    yield agreed_key(self.plan, lost, name, private, public)

    def _partners(self, lost: str) -> list[str]:
        return [name for name in self.plan.neighbours[lost] if name in self._statements]

    def _secret(self, owner: str, advertised: Callable[[str, bytes], bool]) -> bytes:
        shares, threshold = self._collected.get(owner, {}), self.plan.topology.threshold
        if len(shares) < threshold:
            raise self._too_few(f"got {len(shares)} shares of a secret of {owner}, expected {threshold}")
        try:
            secret = combine(dict(sorted(shares.items())[:threshold]))
        except InputError:
            secret = b""
        if not advertised(owner, secret):
            raise SecureSumRefused(
                f"the shares of a secret of {owner} do not give what it advertised: a holder or it sent wrong ones"
            )
        return secret

    def _seed_of(self, owner: str, secret: bytes) -> bool:
        return commitment(self.plan, owner, secret) == self._adverts[owner][SIGNATURE_BYTES + 2 * KEY_BYTES :]

    def _key_of(self, owner: str, secret: bytes) -> bool:
        public = self._adverts[owner][SIGNATURE_BYTES : SIGNATURE_BYTES + KEY_BYTES]
        return len(secret) == KEY_BYTES and (
            X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw() == public
        )

    def _read(
        self, messages: Mapping[str, bytes], expected: Collection[str], read: Callable[[str, bytes], _T]
    ) -> dict[str, _T]:
        """What each of the expected parties sent, in their order; who sent something else has dropped out."""
        found = {}
        for name in sorted(messages):
            try:
                if name not in expected:
                    raise SecureSumRefused(f"{name} is not one of the {len(expected)} that are still in the sum")
                found[name] = read(name, messages[name])
            except SecureSumRefused as error:
                self.refused[name] = str(error)
        if len(found) < self.plan.topology.quorum:
            raise self._too_few(f"{len(found)} parties answered, expected {self.plan.topology.quorum}")
        return found

    def _too_few(self, what: str) -> SecureSumRefused:
        refused = "".join(f"; {name}: {why}" for name, why in sorted(self.refused.items())[:_MOST_REASONS])
        return SecureSumRefused(f"{what}{refused}: start again with another session")


def _of(items: Mapping[str, bytes], names: Collection[str]) -> dict[str, bytes]:
    return {name: items[name] for name in names if name in items}
