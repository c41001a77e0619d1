"""A party of a secure sum: it hands out a masked vector, and shares that can take masks off one sum only.

The protocol is that of Bonawitz et al., "Practical secure aggregation for privacy-preserving machine learning", ACM
CCS 2017, with signed keys and an agreed list of survivors against a server that lies, on a sparse graph as in Bell et
al., "Secure single-server aggregation with (poly)logarithmic overhead", ACM CCS 2020. In five steps, each a message to
the server and one back:

1. advertise: two public X25519 keys, one for masks, one for shares, and a commitment to the seed of the own mask.
2. share: Shamir shares of the key for masks and of the seed, encrypted, for each neighbour.
3. mask: the vector, plus the own mask, plus or minus one mask with each neighbour whose shares arrived.
4. confirm: a signature under the list of survivors, those whose masked vectors the server says it has.
5. unmask: for each neighbour a share, of its seed if it survived, of its key for masks if not.

Why a lying server, together with at most `colluding` parties, learns one sum or nothing: two lists of survivors cannot
both be confirmed by a quorum, because a party confirms one list only. So every honest party gives the same kind of
share of a peer, and colluding holders alone are fewer than the threshold. The seed of a survivor is given away only
if its signed statement shows that its vector is masked with every surviving neighbour, and survivors are accepted only
if the honest ones among them hang together: then no sum over a part of them is free of masks.

A colluding party can make the sum wrong or impossible; robust aggregation is about that, not this.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from sixfold.errors import ConfigError
from sixfold.parts.mask_stream import add_masks
from sixfold.parts.secure_sum_messages import (
    ADVERT_BYTES,
    KEY_BYTES,
    SEALED_BYTES,
    Step,
    joined,
    masked_head,
    masked_statement,
    names_of,
    opened,
    parted,
    parted_confirmations,
    set_bytes,
    set_of,
    signed,
)
from sixfold.parts.secure_sum_plan import SecureSumPlan, SecureSumRefused
from sixfold.parts.shamir import SHARE_BYTES, split

__all__ = ["Party", "SecureSumPlan", "SecureSumRefused", "agreed_key", "check_roster", "commitment", "own_key"]

_NONCE = bytes(12)  # every key of the cipher is derived for one message


class Party:
    """One party in one secure sum; it is not used twice. Each step is taken once, in the order of the methods.

    Raises ConfigError when the plan, the signing key and the roster do not go together. Its methods raise
    SecureSumRefused, and give nothing away, when what came is not what it should be.
    """

    def __init__(
        self,
        me: str,
        plan: SecureSumPlan,
        signing_key: Ed25519PrivateKey,
        roster: Mapping[str, Ed25519PublicKey],
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        check_roster(plan, roster)
        if me not in plan.numbers or roster[me] != signing_key.public_key():
            raise ConfigError(f"{me} is not a party of this sum, or its key is not that of the roster")
        self.me, self.plan = me, plan
        self._signing_key, self._roster, self._random = signing_key, roster, random_bytes
        self._neighbours = plan.neighbours[me]
        self._done = 0
        self._mask_key = X25519PrivateKey.from_private_bytes(mask_secret := random_bytes(KEY_BYTES))
        self._share_key = X25519PrivateKey.from_private_bytes(random_bytes(KEY_BYTES))
        self._mask_secret, self._seed = mask_secret, random_bytes(KEY_BYTES)
        self._peers: dict[str, tuple[bytes, bytes]] = {}  # public keys, for masks and for shares, of who advertised
        self._held: dict[str, tuple[bytes, bytes]] = {}  # of whose seed and key for masks shares arrived
        self._own_share = b""
        self._survivors: frozenset[str] = frozenset()

    def advertise(self) -> bytes:
        """Step 1: the message with the public keys."""
        self._expect(Step.ADVERT)
        statement = (
            self._mask_key.public_key().public_bytes_raw()
            + self._share_key.public_key().public_bytes_raw()
            + commitment(self.plan, self.me, self._seed)
        )
        self._done = Step.ADVERT
        return self._signed(Step.ADVERT, statement) + statement

    def share(self, adverts: bytes) -> bytes:
        """Step 2: from the neighbours' adverts to the message with encrypted shares for each of them."""
        self._expect(Step.SHARES)
        peers = {}
        for name, advert in parted(self.plan, adverts, ADVERT_BYTES, self._neighbours, "adverts").items():
            statement = opened(self._roster, self.plan, Step.ADVERT, name, advert, ADVERT_BYTES)
            peers[name] = (statement[:KEY_BYTES], statement[KEY_BYTES : 2 * KEY_BYTES])
        self._enough(peers, "adverts")
        sealing = {name: self._sealing_key(self.me, name, keys[1]) for name, keys in peers.items()}
        numbers = self.plan.numbers
        holders = [numbers[name] + 1 for name in (self.me, *peers)]
        threshold = self.plan.topology.threshold
        seeds = split(self._seed, threshold, holders, self._random)
        keys = split(self._mask_secret, threshold, holders, self._random)
        sealed = {}
        for name, key in sealing.items():
            at = numbers[name] + 1
            sealed[name] = AESGCM(key).encrypt(_NONCE, seeds[at] + keys[at], None)
        self._peers, self._own_share = peers, seeds[numbers[self.me] + 1]
        self._done = Step.SHARES
        body = joined(self.plan, sealed)
        return self._signed(Step.SHARES, body) + body

    def mask(self, values: NDArray[Any], shares: bytes) -> bytes:
        """Step 3: from the shares of neighbours to the message with the masked vector.

        values: unsigned whole numbers of the plan's ring and length.
        """
        self._expect(Step.MASKED)
        plan = self.plan
        if values.dtype != np.dtype(f"<u{plan.ring_bits // 8}") or values.shape != (plan.length,):
            raise SecureSumRefused(
                f"got a vector of {values.dtype} and shape {values.shape}, "
                f"expected uint{plan.ring_bits} and ({plan.length},)"
            )
        held = {}
        for name, sealed in parted(plan, shares, SEALED_BYTES, self._peers, "shares").items():
            try:
                both = AESGCM(self._sealing_key(name, self.me, self._peers[name][1])).decrypt(_NONCE, sealed, None)
            except InvalidTag:
                raise SecureSumRefused(
                    f"the shares of {name} are not encrypted by it for {self.me} in this session: replayed or changed"
                ) from None
            held[name] = (both[:SHARE_BYTES], both[SHARE_BYTES:])
        self._enough(held, "shares")
        pairs = {name: agreed_key(plan, self.me, name, self._mask_key, self._peers[name][0]) for name in held}
        masked = np.ascontiguousarray(values).copy()
        add_masks(
            masked,
            [own_key(plan, self.me, self._seed), *(key for name, key in pairs.items() if self.me < name)],
            [key for name, key in pairs.items() if self.me > name],
        )
        vector, partners = masked.data.cast("B"), set_of(plan, held)
        self._held = held
        self._done = Step.MASKED  # a second vector under the same masks would give away the difference
        return b"".join((self._signed(Step.MASKED, masked_statement(partners, vector)), partners, vector))

    def confirm(self, survivors: Collection[str]) -> bytes:
        """Step 4: the signature under the list of survivors; there is no other list after it."""
        self._expect(Step.CONFIRMATION)
        self.plan.check(survivors)
        chosen = frozenset(survivors)
        if self.me not in chosen:
            raise SecureSumRefused(f"{self.me} is asked about survivors without itself")
        if missing := chosen.intersection(self._neighbours) - self._held.keys():
            raise SecureSumRefused(f"survivors whose shares never came to {self.me}: {', '.join(sorted(missing))}")
        self._survivors = chosen
        self._done = Step.CONFIRMATION
        return self._signed(Step.CONFIRMATION, set_of(self.plan, chosen))

    def unmask(self, confirmations: bytes) -> bytes:
        """Step 5: from a quorum of confirmations to the message with one share of each neighbour."""
        self._expect(Step.UNMASKING)
        plan, roster, survivors = self.plan, self._roster, self._survivors
        partners = survivors.intersection(self._neighbours)
        signatures, statements = parted_confirmations(plan, confirmations, survivors, partners)
        if len(signatures) < plan.topology.quorum:
            raise SecureSumRefused(f"got {len(signatures)} confirmations, expected {plan.topology.quorum}")
        agreed = set_of(plan, survivors)
        for name, signature in signatures.items():
            data = signature + agreed
            opened(roster, plan, Step.CONFIRMATION, name, data, len(data))
        for name in sorted(partners):
            statement = opened(roster, plan, Step.MASKED, name, statements.get(name, b""), masked_head(plan))
            masked_with = names_of(plan, statement[: set_bytes(plan)])
            if not survivors.intersection(plan.neighbours[name]).issubset(masked_with):
                raise SecureSumRefused(f"the vector of {name} is not masked with each of its surviving neighbours")
        given = {name: seed if name in survivors else key for name, (seed, key) in self._held.items()}
        body = joined(plan, {**given, self.me: self._own_share})
        self._done = Step.UNMASKING
        return self._signed(Step.UNMASKING, body) + body

    def _expect(self, step: Step) -> None:
        if self._done != step - 1:
            raise SecureSumRefused(f"{self.me}: {step.name.lower()} was asked for out of turn: each step is taken once")

    def _enough(self, peers: Collection[str], what: str) -> None:
        if 1 + len(peers) < self.plan.topology.threshold:
            raise SecureSumRefused(
                f"{self.me}: got {what} of {len(peers)} neighbours, expected {self.plan.topology.threshold - 1}"
            )

    def _signed(self, step: Step, statement: bytes) -> bytes:
        return signed(self._signing_key, self.plan, step, self.me, statement)

    def _sealing_key(self, sender: str, receiver: str, public: bytes) -> bytes:
        pair = _pair(self.plan, sender, receiver)
        return _derived(self.plan, b"shares" + pair, _exchanged(self._share_key, public, self.me))


def check_roster(plan: SecureSumPlan, roster: Mapping[str, Ed25519PublicKey]) -> None:
    """Raise ConfigError unless everybody's key is known."""
    if unknown := [name for name in plan.parties if name not in roster]:
        raise ConfigError(f"no public keys of {', '.join(unknown)}: add them to the roster")


def agreed_key(plan: SecureSumPlan, one: str, other: str, key: X25519PrivateKey, public: bytes) -> bytes:
    """The key of the mask of two parties, from the private key of one and the public key of the other."""
    low, high = sorted((one, other))
    return _derived(plan, b"pair" + _pair(plan, low, high), _exchanged(key, public, other))


def own_key(plan: SecureSumPlan, name: str, seed: bytes) -> bytes:
    """The key of a party's own mask."""
    return _derived(plan, b"own" + _pair(plan, name, name), seed)


def commitment(plan: SecureSumPlan, name: str, seed: bytes) -> bytes:
    """What a seed is recognised by; it says nothing about one of 256 random bits."""
    return hashlib.sha256(b"sixfold seed\0" + plan.digest + _pair(plan, name, name) + seed).digest()


def _pair(plan: SecureSumPlan, first: str, second: str) -> bytes:
    return plan.numbers[first].to_bytes(2, "big") + plan.numbers[second].to_bytes(2, "big")


def _derived(plan: SecureSumPlan, purpose: bytes, secret: bytes) -> bytes:
    return HKDF(hashes.SHA256(), KEY_BYTES, salt=plan.digest, info=b"sixfold secure sum 1\0" + purpose).derive(secret)


def _exchanged(key: X25519PrivateKey, public: bytes, owner: str) -> bytes:
    try:
        return key.exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:  # a point of small order
        raise SecureSumRefused(f"{owner}: the public key agrees on no secret") from None
