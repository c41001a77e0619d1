"""The exchanges of one round, with all groups of hospitals at once: a sum of each group, and what they come to.

A hospital that does not keep to the protocol can leave its own group without a sum, round after round; it can spoil no
other group. Whether what its group says is believed is the rule's matter.
"""

# Shapes: G groups that have a sum, D numbers.

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from numpy.typing import NDArray

from sixfold.errors import UserError
from sixfold.parts.robust_rules import combine, least_groups
from sixfold.parts.secure_sum import SecureSumRefused
from sixfold.parts.secure_sum_server import SecureSumServer
from sixfold.systems.hospital.federation.contribution import fixed_point
from sixfold.systems.hospital.federation.grouping import groups_of
from sixfold.systems.hospital.federation.job import Job, Protection
from sixfold.systems.hospital.federation.messages import Phase, sum_plan
from sixfold.systems.hospital.train.algorithm import Total

__all__ = ["Bodies", "Gathered", "GroupedSum", "TooFew"]

Bodies = dict[str, Mapping[str, Any]]  # of each hospital: what is said to it, or what it answered
Ask = Callable[[Phase, Bodies], tuple[Bodies, Mapping[str, str]]]  # one exchange: answers, and refusals

_MISSES = 8  # exchanges in a row without a single piece, before a vector is given up
_HEAD_BYTES = 256  # before a masked vector, at most


class TooFew(UserError):  # noqa: N818  the round is repeated
    """Fewer hospitals are left than may be summed, or fewer groups than the rule needs."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """What stands for the sum of a round, whose vectors are in it, and which groups were left out, and why."""

    total: Total
    counted: tuple[str, ...]
    why: str


@dataclass(slots=True)
class _Group:
    parties: tuple[str, ...]
    server: SecureSumServer | None = None  # of masked vectors
    why: str = ""  # it has no sum
    values: NDArray[Any] | None = None
    counted: tuple[str, ...] = ()


class GroupedSum:
    """One attempt at a round. ask: sends each hospital its message of a phase, and brings the answers."""

    def __init__(
        self, job: Job, round_: int, attempt: int, length: int, roster: Mapping[str, Ed25519PublicKey], ask: Ask
    ) -> None:
        self.job, self.round, self.attempt, self.length = job, round_, attempt, length
        self._roster, self._ask = roster, ask
        self._groups: list[_Group] = []

    def run(self, parties: Sequence[str], order: Mapping[str, Any]) -> Gathered:
        """Ask these hospitals for their vectors; raises TooFew when there is no sum.

        order: the message that begins the round; each hospital is also told with whom it is summed.
        """
        self._groups = [self._group(parties, group) for group in groups_of(self.job, self.round)]
        orders: Bodies = {
            site: {**order, "parties": list(group.parties)}
            for group in self._groups
            if not group.why
            for site in group.parties
        }
        if self.job.protection is Protection.MASKED:
            self._masked(orders)
        else:
            self._each(Phase.ORDER, orders, self._plain_sum)
        return self._combined()

    def _group(self, parties: Sequence[str], group: tuple[str, ...]) -> _Group:
        made = _Group(tuple(site for site in group if site in parties))
        try:
            self._enough(made.parties)
            if self.job.protection is Protection.MASKED:
                plan = sum_plan(self.job, self.round, self.attempt, made.parties, self.length)
                made.server = SecureSumServer(plan, self._roster)
        except (TooFew, SecureSumRefused) as error:
            made.why = str(error)
        return made

    def _masked(self, orders: Bodies) -> None:
        """Five exchanges, each with all groups that still can have a sum."""
        said = self._each(Phase.ORDER, orders, lambda group, a: _to("adverts", _server(group).adverts(a)), "advert")
        said = self._each(Phase.SHARE, said, lambda group, a: _to("shares", _server(group).shares(a)), "shares")
        said = self._each(Phase.MASK, said, self._survivors)
        said = self._each(
            Phase.CONFIRM, said, lambda group, a: _to("signatures", _server(group).confirmations(a)), "signature"
        )
        self._each(Phase.UNMASK, said, self._unmasked, "shares")

    def _survivors(self, group: _Group, vectors: Mapping[str, bytes]) -> Bodies:
        survivors = _server(group).masked(vectors)
        self._enough(survivors)
        return {site: {"survivors": list(survivors)} for site in survivors}

    def _unmasked(self, group: _Group, shares: Mapping[str, bytes]) -> Bodies:
        server = _server(group)
        server.unmasked(shares)
        group.values, group.counted = server.total(), server.survivors
        return {}

    def _plain_sum(self, group: _Group, vectors: Mapping[str, bytes]) -> Bodies:
        total = np.zeros(self.length, dtype=fixed_point(self.job).dtype)
        whole = {site: data for site, data in sorted(vectors.items()) if len(data) == total.nbytes}
        self._enough(whole)
        for data in whole.values():
            total += np.frombuffer(data, dtype=total.dtype)
        group.values, group.counted = total, tuple(whole)
        return {}

    def _each(
        self,
        phase: Phase,
        bodies: Bodies,
        read: Callable[[_Group, Mapping[str, bytes]], Bodies],
        name: str = "",  # of what is answered; vectors, unless told
    ) -> Bodies:
        """One exchange; each group reads what its hospitals answered, and says what comes next."""
        if not bodies:
            return {}
        answers, refusals = self._ask(phase, bodies)
        found = _bytes_of(answers, name) if name else self._vectors(answers)
        said: Bodies = {}
        for group in self._groups:
            if group.why:
                continue
            own = {site: found[site] for site in group.parties if site in found}
            try:
                self._enough(own, {site: why for site, why in refusals.items() if site in group.parties})
                said |= read(group, own)
            except (TooFew, SecureSumRefused) as error:
                group.why = str(error)
        return said

    def _vectors(self, answers: Bodies) -> dict[str, bytes]:
        """The vectors of a round; long ones are fetched in pieces, and a lost piece is asked for again."""
        most = self.length * self.job.ring_bits // 8 + _HEAD_BYTES  # pieces of a byte
        counts = {site: answer.get("pieces") for site, answer in answers.items()}
        wanted = {site: n for site, n in counts.items() if isinstance(n, int) and 0 < n <= most}
        got: dict[str, list[bytes]] = {site: [] for site in wanted}
        misses = 0
        while missing := {site: len(got[site]) for site, n in wanted.items() if len(got[site]) < n}:
            answered, _ = self._ask(Phase.FETCH, {site: {"piece": n} for site, n in missing.items()})
            pieces = _bytes_of(answered, "piece")
            for site, piece in pieces.items():
                got[site].append(piece)
            misses = 0 if pieces else misses + 1
            if misses == _MISSES:
                break
        fetched = {site: b"".join(parts) for site, parts in got.items() if len(parts) == wanted[site]}
        return _bytes_of(answers, "vector") | fetched

    def _combined(self) -> Gathered:
        job, failed = self.job, "; ".join(group.why for group in self._groups if group.why)
        sums = [(group.counted, group.values) for group in self._groups if group.values is not None]
        if len(sums) < (least := least_groups(job.rule, job.hostile)):
            few = f"{len(sums)} of {len(self._groups)} groups have a sum, {least} are the least: "
            raise TooFew(failed if len(self._groups) == 1 else few + failed)
        coder = fixed_point(job)
        sums_GD = np.stack([coder.decode(values) for _, values in sums])
        sizes = [len(counted) for counted, _ in sums]
        total = Total(combine(job.rule, sums_GD, sizes, job.hostile), sum(sizes))
        return Gathered(total, tuple(sorted(site for counted, _ in sums for site in counted)), failed)

    def _enough(self, sites: Any, refusals: Mapping[str, str] | None = None) -> None:
        if len(sites) < self.job.minimum_sites:
            why = "".join(f"; {site}: {text}" for site, text in (refusals or {}).items())
            raise TooFew(f"{len(sites)} hospitals are left, {self.job.minimum_sites} are the least{why}")


def _server(group: _Group) -> SecureSumServer:
    assert group.server is not None
    return group.server


def _to(name: str, messages: Mapping[str, bytes]) -> Bodies:
    return {site: {name: message} for site, message in messages.items()}


def _bytes_of(answers: Bodies, name: str) -> dict[str, bytes]:
    """What hospitals answered under this name; one that answered otherwise has not answered."""
    return {site: answer[name] for site, answer in answers.items() if isinstance(answer.get(name), bytes)}
