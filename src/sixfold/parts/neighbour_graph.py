"""With whom a party of a secure sum shares masks: everybody when they are few, else neighbours on a random ring.

Parties stand on a ring in an order that no one chose; each is joined to the `degree / 2` next on both sides. The idea
and the use of exact tails are from Bell et al., "Secure single-server aggregation with (poly)logarithmic overhead",
ACM CCS 2020, section 3. What has to hold differs, because here all parties agree on one list of survivors:

- holders: of one party's secrets fewer than `threshold` of the shares are with colluding parties;
- cut: a ring falls apart where two runs of degree / 2 parties are missing. All survivors in any two runs colluding
  would leave two sums instead of one: survivors are accepted only if every two runs hold at least `cut` of them, and
  no two runs hold that many colluding parties;
- quorum: signatures under one list by more than half of the parties that do not collude, so that there is only one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sixfold.errors import ConfigError

__all__ = ["MOST_PARTIES", "Topology", "choose_topology", "least_cut", "ring_order"]

MOST_PARTIES = 1_000
_COMPLETE_UP_TO = 32  # a complete graph needs no assumption on the order, and costs little for so few


@dataclass(frozen=True, slots=True)
class Topology:
    """How the parties of a secure sum are joined, and how many must agree.

    degree: neighbours of each; parties - 1 is the complete graph. threshold: shares that give back a secret, of
    degree + 1. quorum: signatures under the list of survivors. cut: survivors in any two runs of degree / 2 parties; 0
    in the complete graph. leak: probability that colluding parties can learn more than the sum. stall: probability
    that the sum cannot be completed although no more parties than expected dropped out.
    """

    degree: int
    threshold: int
    quorum: int
    cut: int = 0
    leak: float = 0.0
    stall: float = 0.0


def choose_topology(
    parties: int, dropped: int, colluding: int, privacy_bits: int = 40, completion_bits: int = 10
) -> Topology:
    """The sparsest graph whose `leak` is at most 2^-privacy_bits and whose `stall` at most 2^-completion_bits.

    dropped, colluding: how many parties may be lost, and how many may work together with the server. The tails are
    hypergeometric, united over parties and over pairs of runs: they hold if the order on the ring depends neither on
    who colludes nor on who drops out by chance; a server that lies about dropouts is covered by quorum and cut. Up to
    32 parties, and where no sparser one will do, the graph is complete, and nothing is left to probability.

    Raises ConfigError when no majority of those that do not collude would be left.
    """
    n = parties
    if not 2 <= n <= MOST_PARTIES or dropped < 0 or colluding < 0:
        raise ConfigError(
            f"got {n} parties, {dropped} dropped, {colluding} colluding, expected 2 to {MOST_PARTIES}, and 0 or more"
        )
    quorum = (n + colluding) // 2 + 1
    if n - dropped < quorum or n - colluding < 2:
        raise ConfigError(
            f"{n} parties less {dropped} dropped cannot have {quorum} that agree, which {colluding} colluding ones "
            "call for: expect fewer of either"
        )
    if n > _COMPLETE_UP_TO:
        for half in range(1, (n - 1) // 2):
            if found := _sparse(n, dropped, colluding, half, 2.0**-privacy_bits, 2.0**-completion_bits, quorum):
                return found
    return Topology(n - 1, quorum, quorum)


def _sparse(n: int, dropped: int, colluding: int, half: int, leak: float, stall: float, quorum: int) -> Topology | None:
    """The graph of this degree with the largest threshold and cut that complete, if they keep the secrets.

    Each of the two may use up half of either probability.
    """
    from scipy.stats import hypergeom

    k = 2 * half
    pairs = n * (n - k + 1) / 2  # of runs that do not overlap
    shares = np.arange(2, k + 1)
    # A survivor holds a share of its own secrets, one that dropped out does not.
    short = n * hypergeom.sf(k + 1 - shares, n - 1, dropped, k)
    if dropped:
        short += dropped * hypergeom.sf(k - shares, n - 1, dropped - 1, k)
    left = np.arange(1, k + 1)
    parted = pairs * hypergeom.sf(k - left, n, dropped, k)
    if short[0] > stall / 2 or parted[0] > stall / 2:
        return None
    t, cut = int(shares[short <= stall / 2][-1]), int(left[parted <= stall / 2][-1])
    held = n * hypergeom.sf(t - 1, n - 1, colluding, k)
    taken = pairs * hypergeom.sf(cut - 1, n, colluding, k)
    if held > leak / 2 or taken > leak / 2:
        return None
    return Topology(k, t, quorum, cut, float(held + taken), float(short[t - 2] + parted[cut - 1]))


def ring_order(session: bytes, parties: Sequence[str]) -> tuple[int, ...]:
    """Places on the ring: the parties' numbers, in the order of a hash of the session and their names.

    Anyone can compute it, so a server cannot deal it. It could try many sessions until it likes the order: each trial
    adds its `leak`, and whoever fixes the session should leave the server nothing to choose.
    """

    def place(at: int) -> bytes:
        return hashlib.sha256(b"sixfold ring\0" + session + parties[at].encode()).digest()

    return tuple(sorted(range(len(parties)), key=place))


def least_cut(present_N: NDArray[Any], half: int) -> int:
    """The fewest parties that are present in any two runs of `half` places that do not overlap.

    present_N: whether each is there, in the order of the ring; N >= 2 half.
    """
    n = len(present_N)
    around = np.concatenate(([0], np.cumsum(np.concatenate((present_N, present_N[:half])).astype(np.int64))))
    runs_N = around[half : half + n] - around[:n]
    return int(min((runs_N + np.roll(runs_N, -apart)).min() for apart in range(half, n // 2 + 1)))
