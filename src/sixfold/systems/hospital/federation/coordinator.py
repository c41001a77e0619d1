"""The coordinator of a federation: offers a job, drives its rounds, and is left with nothing but sums."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from sixfold.errors import InputError, UserError
from sixfold.files import append_json_line, read_json_lines
from sixfold.parts.array_codec import pack, unpack
from sixfold.parts.signed_message import Header, MessageRefused, open_sealed, seal
from sixfold.study.meter import Part, span
from sixfold.systems.hospital.audit.log import AuditLog
from sixfold.systems.hospital.federation.checkpoint import Checkpoint
from sixfold.systems.hospital.federation.grouped_sum import Bodies, GroupedSum, TooFew
from sixfold.systems.hospital.federation.job import Job
from sixfold.systems.hospital.federation.messages import LIMIT_BYTES, Phase, order_to
from sixfold.systems.hospital.provision import COORDINATOR, Kit
from sixfold.systems.hospital.train.algorithm import Algorithm, Order, State, Total
from sixfold.systems.hospital.transport.transport import Deadline, Transport

__all__ = ["Coordinator", "FederationRefused", "FederationStalled", "Finished", "RoundRecord"]

_ATTEMPTS = 8  # at one training step, before somebody has to look


class FederationRefused(UserError):  # noqa: N818  an answer, not a mistake
    """Too few hospitals accepted the job; says what each of the others answered."""


class FederationStalled(UserError):  # noqa: N818  it can be resumed
    """Round after round ended with too few hospitals; the checkpoint is kept, and running it again goes on."""


@dataclass(frozen=True, slots=True)
class RoundRecord:
    """One attempt at a round as the coordinator saw it: who was asked, who was summed, bytes through it, seconds."""

    round: int
    attempt: int
    asked: tuple[str, ...]
    counted: tuple[str, ...]
    down_bytes: int
    up_bytes: int
    wall_s: float
    why: str = ""  # it gave no sum, or the groups that are not counted gave none


@dataclass(frozen=True, slots=True)
class Finished:
    """What a federation came to."""

    job: Job
    state: State
    rounds: tuple[RoundRecord, ...]

    @property
    def moved_bytes(self) -> int:
        """Bytes through the coordinator in all attempts, both ways."""
        return sum(record.down_bytes + record.up_bytes for record in self.rounds)


@dataclass(slots=True)
class _Traffic:
    down_bytes: int = 0
    up_bytes: int = 0


@dataclass(slots=True)
class Coordinator:
    """Drives one job at a time over any transport; a killed one goes on from its folder.

    watch: is told every RoundRecord. pick: which of the hospitals take part in a round (all, unless told).
    """

    kit: Kit
    transport: Transport
    folder: Path
    log: AuditLog
    deadline: Deadline
    clock: Callable[[], float] = time.time
    watch: Callable[[RoundRecord], None] = lambda record: None
    pick: Callable[[int, Sequence[str]], Sequence[str]] = lambda round_, sites: sites
    heads: dict[str, Any] = field(default_factory=dict)

    def run(self, job: Job, algorithm: Algorithm, seed: int) -> Finished:
        """Train, or go on training, until the algorithm's rounds are done.

        Raises FederationRefused when fewer hospitals accept the job than its minimum, FederationStalled when a step
        does not succeed in several attempts, InputError when the folder holds another job.
        """
        folder = self.folder / job.digest[:16]
        checkpoint = Checkpoint.load(folder, job) or Checkpoint(job.digest, 0, -1, algorithm.init(seed), None)
        failures = 0
        sites: tuple[str, ...] = ()
        while checkpoint.state.round < algorithm.rounds:
            if not sites:
                sites = self.offer(job)
            if failures == _ATTEMPTS:
                raise FederationStalled(
                    f"{job.federation}: round {checkpoint.round} gave no sum in {_ATTEMPTS} attempts: "
                    "look at rounds.jsonl and the logs of the hospitals; run again to go on"
                )
            checkpoint = checkpoint.next_attempt()
            checkpoint.save(folder)  # before anybody is asked: an attempt's number is never used twice
            order = algorithm.order(checkpoint.state)
            total, record = self._attempt(job, checkpoint, order, self.pick(checkpoint.round, sites))
            append_json_line(folder / "rounds.jsonl", asdict(record))
            self.watch(record)
            if total is None:
                failures += 1
                # a hospital that was summed with others refuses this round for good; the next one is a fresh draw
                checkpoint = checkpoint.next_round() if "summed" in record.why else checkpoint
                sites = ()  # who was restarted has to be offered the job again
                continue
            failures = 0
            checkpoint = checkpoint.after(algorithm.step(checkpoint.state, total), record.counted)
            checkpoint.save(folder)
            self.log.append(
                "model",
                {"job": job.digest, "round": record.round, "sites": len(record.counted), "hash": _hash(checkpoint)},
                self.clock(),
            )
            if len(record.counted) < len(job.sites):
                sites = ()  # who was missing is asked to come back
        self.log.sync()  # the last model has no order after it
        records = tuple(_record(line) for line in read_json_lines(folder / "rounds.jsonl"))
        return Finished(job, checkpoint.state, records)

    def offer(self, job: Job) -> tuple[str, ...]:
        """Offer the job to its hospitals; the names of those that accept it, at least the job's minimum."""
        answers, refusals = self._ask(job, Phase.OFFER, 0, 0, {site: {"job": job.to_json()} for site in job.sites})
        accepted = tuple(sorted(site for site, answer in answers.items() if answer.get("accepted") is True))
        if len(accepted) < job.minimum_sites:
            told = {site: refusals.get(site, "no answer in time") for site in job.sites if site not in accepted}
            raise FederationRefused(
                f"{job.federation}: {len(accepted)} of {len(job.sites)} hospitals accepted, "
                f"{job.minimum_sites} are the least: " + "; ".join(f"{site}: {why}" for site, why in told.items())
            )
        return accepted

    def reports(self, job: Job, order: Order) -> dict[str, Mapping[str, Any]]:
        """What each hospital says of a model on its own patients: aggregates, under a permit for metrics."""
        sites = self.offer(job)
        body = {"order": pack(order_to(order)), "heads": self._heads()}
        answers, _ = self._ask(job, Phase.REPORT, 0, 0, dict.fromkeys(sites, body))
        return {site: answer["report"] for site, answer in sorted(answers.items())}

    def _attempt(
        self, job: Job, at: Checkpoint, order: Order, parties: Sequence[str]
    ) -> tuple[Total | None, RoundRecord]:
        began_s, traffic = time.perf_counter(), _Traffic()
        asked = tuple(sorted(parties))
        record = RoundRecord(at.round, at.attempt, asked, (), 0, 0, 0.0)
        said = {"order": pack(order_to(order)), "previous": at.previous, "heads": self._heads()}

        def ask(phase: Phase, bodies: Bodies) -> tuple[dict[str, Mapping[str, Any]], dict[str, str]]:
            return self._ask(job, phase, at.round, at.attempt, bodies, traffic)

        try:
            gathered = GroupedSum(job, at.round, at.attempt, order.length, self.kit.roster, ask).run(asked, said)
        except TooFew as error:
            return None, replace(record, why=str(error), **_spent(traffic, began_s))
        return gathered.total, replace(record, counted=gathered.counted, why=gathered.why, **_spent(traffic, began_s))

    def _heads(self) -> dict[str, Any]:
        """The last head of each hospital, and its own: what the coordinator did has witnesses too."""
        return {**self.heads, COORDINATOR: self.log.signed_head()}

    def _ask(
        self,
        job: Job,
        phase: Phase,
        round_: int,
        attempt: int,
        bodies: Mapping[str, Mapping[str, Any]],
        traffic: _Traffic | None = None,
    ) -> tuple[dict[str, Mapping[str, Any]], dict[str, str]]:
        """Send each hospital its message; the answers that came in time and are what they should be, and refusals."""
        requests = {}
        for site, said in bodies.items():
            header = Header(job.federation, COORDINATOR, site, job.digest, round_, attempt, int(phase))
            requests[site] = seal(self.kit.signing_key, header, pack(dict(said)))
        down_bytes = sum(map(len, requests.values()))
        with span(Part.COMMUNICATION, nbytes=down_bytes):
            replies = self.transport.exchange(requests, self.deadline)
        answers, refusals = dict[str, Mapping[str, Any]](), dict[str, str]()
        for site, reply in sorted(replies.items()):
            try:
                header, body = open_sealed(reply, self.kit.roster, COORDINATOR, LIMIT_BYTES)
                expected = (job.federation, site, round_, attempt, int(phase))
                if (header.federation, header.sender, header.round, header.attempt, header.phase) != expected:
                    raise MessageRefused(f"{site}: an answer to another question")
                record = unpack(body, LIMIT_BYTES)
                self.heads[site] = record.pop("head")
                self.log.witness(site, self.heads[site], self.kit.roster, self.clock())
            except (InputError, UserError, KeyError, AttributeError) as error:
                refusals[site] = f"not an answer: {error}"
                continue
            if header.kind == "refused":
                refusals[site] = str(record.get("why", ""))
            else:
                answers[site] = record
        up_bytes = sum(map(len, replies.values()))
        with span(Part.COMMUNICATION, nbytes=up_bytes):
            pass
        if traffic is not None:
            traffic.down_bytes += down_bytes
            traffic.up_bytes += up_bytes
        return answers, refusals


def _spent(traffic: _Traffic, began_s: float) -> dict[str, Any]:
    return {**asdict(traffic), "wall_s": time.perf_counter() - began_s}


def _hash(checkpoint: Checkpoint) -> str:
    return hashlib.sha256(pack(dict(checkpoint.state.arrays))).hexdigest()


def _record(line: Mapping[str, Any]) -> RoundRecord:
    return RoundRecord(**{**line, "asked": tuple(line["asked"]), "counted": tuple(line["counted"])})
