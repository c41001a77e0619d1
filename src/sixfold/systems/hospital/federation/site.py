"""A hospital in a federation: it answers signed messages from its own records, and decides by itself what may leave."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sixfold.errors import InputError, UserError
from sixfold.parts.array_codec import pack, unpack
from sixfold.parts.privacy_ledger import PrivacyLedger
from sixfold.parts.secure_sum import Party
from sixfold.parts.signed_message import Header, MessageRefused, open_sealed, seal
from sixfold.systems.hospital.audit.log import AuditLog
from sixfold.systems.hospital.cohort import Cohort
from sixfold.systems.hospital.federation.contribution import Contribute, Encoded, contribute
from sixfold.systems.hospital.federation.grouping import group_of
from sixfold.systems.hospital.federation.job import Job, Output, Protection, output_of
from sixfold.systems.hospital.federation.late_updates import late_vector, with_late
from sixfold.systems.hospital.federation.messages import (
    LIMIT_BYTES,
    Phase,
    order_digest,
    order_from,
    order_to,
    sum_plan,
)
from sixfold.systems.hospital.federation.records import Records
from sixfold.systems.hospital.federation.site_state import RoundRefused, SiteState
from sixfold.systems.hospital.notes import add_note
from sixfold.systems.hospital.operation.in_force import InForce
from sixfold.systems.hospital.operation.site_operation import OUTSIDE_ROUNDS, SiteOperation
from sixfold.systems.hospital.provision import COORDINATOR, Kit
from sixfold.systems.hospital.train.algorithm import Arrays, Order

__all__ = ["Site"]

_REASON = 400  # letters
_PIECE_BYTES = 4 << 20  # of a long vector: what is sent again after a broken connection


@dataclass(slots=True)
class _Attempt:
    """One attempt at one round, in memory: a hospital that restarts has dropped out of it."""

    round: int
    attempt: int
    work: str
    encoded: Encoded
    parties: tuple[str, ...]
    party: Party | None = None
    pieces: list[bytes] = field(default_factory=list)


@dataclass(slots=True)
class _Running:
    """A job that this hospital accepted."""

    job: Job
    state: SiteState
    ledgers: tuple[PrivacyLedger, ...]  # what the job promised, and what its permit allows all jobs together
    attempt: _Attempt | None = None

    def spent(self) -> float:
        """The most epsilon in any of the ledgers."""
        return max((ledger.spent() for ledger in self.ledgers), default=0.0)

    def left(self) -> float:
        """The epsilon that may still be spent: of the ledger that ends first."""
        return min((ledger.budget.epsilon - ledger.spent() for ledger in self.ledgers), default=0.0)


class Site:
    """Answers one message at a time: `handle` maps bytes to bytes, whatever carries them.

    Each answer is signed. What the hospital refuses, it says why, and writes it into its log.
    """

    def __init__(
        self,
        kit: Kit,
        records: Records,
        log: AuditLog,
        secret: bytes,
        state_of: Callable[[str], SiteState],
        ledgers_of: Callable[[Job], Sequence[PrivacyLedger]],
        clock: Callable[[], float],
        notes: Path,
        in_force: InForce,
        contribute: Contribute = contribute,
    ) -> None:
        self.in_force = in_force
        self.operation = SiteOperation(records, in_force, log, clock, lambda digest: state_of(digest).kept())
        self.notes = notes  # of errors, for the hospital alone: never sent, never in a log that others read
        self.kit, self.records, self.log, self.secret = kit, records, log, secret
        self.state_of, self.ledgers_of, self.clock = state_of, ledgers_of, clock
        self.contribute = contribute  # one that does not keep to the protocol says something else of its patients
        self.running: dict[str, _Running] = {}
        log.append("started", {}, clock())

    @property
    def name(self) -> str:
        """Which party this is."""
        return self.kit.name

    def handle(self, request: bytes) -> bytes:
        """Answer one message. Raises MessageRefused if it is not from the coordinator: it gets no answer at all."""
        header, body = open_sealed(request, self.kit.roster, self.name, LIMIT_BYTES)
        if header.sender != COORDINATOR:
            raise MessageRefused(f"{self.name}: got a message of {header.sender}, expected one of the {COORDINATOR}")
        try:
            answer, kind = self._answer(header, unpack(body, LIMIT_BYTES)), "answer"
        except (UserError, KeyError, TypeError, AttributeError, ValueError) as error:
            why = self._told(header, error)
            self.log.append(
                "refusal", {"round": header.round, "phase": header.phase, "why": why[:_REASON]}, self.clock()
            )
            answer, kind = {"why": why}, "refused"
        reply = Header(header.federation, self.name, COORDINATOR, kind, header.round, header.attempt, header.phase)
        return seal(self.kit.signing_key, reply, pack({**answer, "head": self.log.signed_head()}))

    def _told(self, header: Header, error: Exception) -> str:
        """What the others may know of it: an InputError can quote a record, so that its text stays at the hospital."""
        if isinstance(error, InputError):
            add_note(self.notes, {"round": header.round, "phase": header.phase, "what": str(error)})
            return "an error in what was read: the hospital has it in its notes"
        # what is not a UserError comes of a body that is not one of its phase
        return str(error) if isinstance(error, UserError) else f"not a message of phase {header.phase}"

    def _answer(self, header: Header, body: Mapping[str, Any]) -> dict[str, Any]:
        for party, head in body.get("heads", {}).items():
            self.log.witness(party, head, self.kit.roster, self.clock())
        if header.phase == Phase.OFFER:
            return self._offer(Job.from_json(body.get("job")))
        running = self.running.get(header.kind)
        if running is None:
            raise RoundRefused(f"{self.name}: this job was not offered here, or not accepted: offer it again")
        if header.phase == Phase.ORDER:
            return self._order(running, header, body)
        if header.phase in OUTSIDE_ROUNDS:
            return self.operation.answer(Phase(header.phase), running.job, body)
        attempt = running.attempt
        if attempt is None or (attempt.round, attempt.attempt) != (header.round, header.attempt):
            raise RoundRefused(f"{self.name}: round {header.round} attempt {header.attempt} is not under way here")
        if header.phase == Phase.FETCH:
            return {"piece": _piece(attempt, body)}
        if attempt.party is None:
            raise RoundRefused(f"{self.name}: nothing is masked in this job")
        match Phase(header.phase):
            case Phase.SHARE:
                return {"shares": attempt.party.share(body["adverts"])}
            case Phase.MASK:
                self._log_contribution(running, attempt)
                return _pieces(attempt, attempt.party.mask(attempt.encoded.values, body["shares"]))
            case Phase.CONFIRM:
                survivors = tuple(map(str, body["survivors"]))
                if len(survivors) < running.job.minimum_sites:
                    raise RoundRefused(
                        f"{len(survivors)} hospitals are left, {running.job.minimum_sites} are the least"
                    )
                running.state.agree(attempt.round, survivors)
                return {"signature": attempt.party.confirm(survivors)}
            case _:
                return self._unmask(running, attempt, body)

    def _offer(self, job: Job) -> dict[str, Any]:
        if self.name not in job.sites:
            raise RoundRefused(f"{self.name} is not among the hospitals of this job")
        self.in_force.may_train(job)
        patients = self.records.admit(job)
        known = self.running.get(job.digest)
        if known is None:
            self.running[job.digest] = _Running(job, self.state_of(job.digest), tuple(self.ledgers_of(job)))
        self.log.append(
            "round_offered", {"job": job.digest, "purpose": job.purpose, "output": job.output.value}, self.clock()
        )
        return {"accepted": len(patients) > 0}

    def _order(self, running: _Running, header: Header, body: Mapping[str, Any]) -> dict[str, Any]:
        job, state = running.job, running.state
        if job.output is Output.METRICS and job.mechanism is not None:
            raise RoundRefused("metrics are aggregates of their own: no mechanism covers them")
        order, parties = order_from(body.get("order")), tuple(map(str, body.get("parties", ())))
        if output_of(order.work) is not job.output:
            raise RoundRefused(f"{order.work} is {output_of(order.work).value}, this job is about {job.output.value}")
        if not {self.name} <= set(parties) <= set(group_of(job, header.round, self.name)):
            raise RoundRefused("got other hospitals beside this one than the draw of this job puts into its group")
        if len(set(parties)) < job.minimum_sites:
            raise RoundRefused(f"{len(parties)} hospitals are asked, {job.minimum_sites} of this job are the least")
        cohort = self.records.admit(job)  # before anything is computed: a permit may have ended meanwhile
        state.begin(header.round, header.attempt)
        previous = body.get("previous") or {}
        if self.name in previous.get("sites", ()):
            state.counted(int(previous["round"]))
        encoded = self._vector(running, header.round, order, cohort, previous)
        attempt = _Attempt(header.round, header.attempt, order.work, encoded, parties)
        running.attempt = attempt
        spent = {} if job.mechanism is None else {"spent": running.spent(), "left": running.left()}
        if job.protection is Protection.PLAIN:
            self._log_contribution(running, attempt)
            return {**_pieces(attempt, encoded.values.tobytes()), **spent}
        plan = sum_plan(job, header.round, header.attempt, parties, order.length)
        attempt.party = Party(self.name, plan, self.kit.signing_key, self.kit.roster)
        return {"advert": attempt.party.advertise(), **spent}

    def _vector(
        self, running: _Running, round_: int, order: Order, cohort: Cohort, previous: Mapping[str, Any]
    ) -> Encoded:
        """This round's vector: from disk if it was computed before; else its privacy is charged, then it is made."""
        digest = order_digest(pack(order_to(order)))
        if (known := running.state.vector(round_, digest)) is not None:
            return known
        job = running.job
        late = late_vector(job, order.work, round_, self.name, running.state, previous)
        if job.mechanism is not None:
            for ledger in running.ledgers:
                ledger.charge(f"{job.digest} {round_}", job.mechanism)
        encoded = self.contribute(job, order, cohort, self._kept(running), self.secret, round_)
        if late is not None:
            encoded = with_late(job, encoded, late)
        running.state.keep_vector(round_, digest, encoded)
        return encoded

    def _kept(self, running: _Running) -> Arrays:
        """What training left here: that of this job, or of the one that it builds on."""
        trained = running.job.trained
        return self.state_of(trained).kept() if trained else running.state.kept()

    def _unmask(self, running: _Running, attempt: _Attempt, body: Mapping[str, Any]) -> dict[str, Any]:
        assert attempt.party is not None
        shares = attempt.party.unmask(body["signatures"])
        self.log.append("unmask", {"round": attempt.round, "attempt": attempt.attempt}, self.clock())
        return {"shares": shares}

    def _log_contribution(self, running: _Running, attempt: _Attempt) -> None:
        """Before it leaves."""
        self.log.append(
            "contribution",
            {
                "job": running.job.digest,
                "round": attempt.round,
                "attempt": attempt.attempt,
                "work": attempt.work,
                "vector_length": len(attempt.encoded.values),
                "records": attempt.encoded.records,
                "protection": running.job.protection.value,
                "epsilon_after": running.spent(),
                "late": attempt.encoded.late,
            },
            self.clock(),
        )


def _pieces(attempt: _Attempt, data: bytes) -> dict[str, Any]:
    """A short vector is the answer; a long one is cut, and fetched piece by piece."""
    if len(data) <= _PIECE_BYTES:
        return {"vector": data}
    attempt.pieces = [data[at : at + _PIECE_BYTES] for at in range(0, len(data), _PIECE_BYTES)]
    return {"pieces": len(attempt.pieces)}


def _piece(attempt: _Attempt, body: Mapping[str, Any]) -> bytes:
    at = body.get("piece")
    if not (isinstance(at, int) and 0 <= at < len(attempt.pieces)):
        raise RoundRefused(f"got piece {at!r}, expected one of {len(attempt.pieces)}")
    return attempt.pieces[at]
