"""What a hospital answers outside of rounds: reports on a model, a release, periods after it, decisions of people."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sixfold.errors import InputError
from sixfold.parts.array_codec import pack
from sixfold.systems.hospital.audit.log import AuditLog, Fact
from sixfold.systems.hospital.federation.job import Job, Output
from sixfold.systems.hospital.federation.messages import Phase, order_digest, order_from, order_to
from sixfold.systems.hospital.federation.records import Records
from sixfold.systems.hospital.federation.reporting import numbers_in, report
from sixfold.systems.hospital.federation.site_state import RoundRefused
from sixfold.systems.hospital.monitor_report import report_to, site_report
from sixfold.systems.hospital.operation.in_force import InForce, Scored
from sixfold.systems.hospital.operation.release import Release
from sixfold.systems.hospital.operation.signed_answer import SignedAnswer
from sixfold.systems.hospital.operation.vouched_report import vouch
from sixfold.systems.hospital.train.algorithm import Arrays

__all__ = ["OUTSIDE_ROUNDS", "SiteOperation"]

OUTSIDE_ROUNDS = (Phase.REPORT, Phase.RELEASE, Phase.WATCH, Phase.ANSWER)


@dataclass(frozen=True, slots=True)
class SiteOperation:
    """kept: the digest of a training job -> what it left at this hospital. Everything is logged before it leaves."""

    records: Records
    in_force: InForce
    log: AuditLog
    clock: Callable[[], float]
    kept: Callable[[str], Arrays]

    def answer(self, phase: Phase, job: Job, body: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to one message under a job for metrics. Raises RoundRefused, or what the records raise."""
        if job.output is not Output.METRICS:
            raise RoundRefused(f"this job is about {job.output.value}, not metrics")
        match phase:
            case Phase.REPORT:
                return self._report(job, body)
            case Phase.RELEASE:
                return self._release(job, body)
            case Phase.WATCH:
                return self._watch(job, body)
            case _:
                return self._answer(body)

    def _report(self, job: Job, body: Mapping[str, Any]) -> dict[str, Any]:
        order = order_from(body.get("order"))
        theta_P = order.arrays["theta"]
        said = vouch(
            self.in_force.kit.signing_key, theta_P, report(order, self.records.admit(job), self.kept(job.trained))
        )
        self.in_force.keep_reported(job.trained, theta_P, said)
        judged = order_digest(pack(order_to(order)))  # which model
        records, numbers = int(said["patients"]), numbers_in(said)
        self._log("report", job=job.digest, order=judged, work=order.work, numbers=numbers, records=records)
        return {"report": said}

    def _release(self, job: Job, body: Mapping[str, Any]) -> dict[str, Any]:
        release = Release.from_files(body["files"])
        if release.job.digest != job.trained:
            raise RoundRefused("a release of another training than the one that this job is about")
        scored = Scored.of(release, self.records.admit(job), self.kept(job.trained))
        known = (scored.y_N, scored.score_N)
        reference = site_report(release.plan, self.in_force.kit.name, release.period, scored.values, known)
        signature = self.in_force.accept(release, reference)
        self._log("release", release=release.digest, person=release.person, replaces=release.replaces)
        return {"signature": signature, "reference": report_to(reference)}

    def _watch(self, job: Job, body: Mapping[str, Any]) -> dict[str, Any]:
        release, period = self.in_force.named(body["release"]), body["period"]
        if not isinstance(period, int) or period <= release.period:
            raise InputError(f"got {period!r}, expected a period after {release.period}", field="period")
        told = self.in_force.report(release, period)
        if told is None:
            arrived = self.records.arrived(job, period)
            if arrived is None:
                return {"report": None}
            kept, due = self.kept(release.job.digest), period - release.plan.delay
            before = self.records.arrived(job, due) if due > release.period else None
            then = Scored.of(release, before.cohort, kept) if before is not None and before.known else None
            told = self.in_force.tell(release, period, Scored.of(release, arrived.cohort, kept), then)
        self._log("period", release=release.digest, period=period, outcomes=told["outcomes"] is not None)
        return {"report": told}

    def _answer(self, body: Mapping[str, Any]) -> dict[str, Any]:
        signed = SignedAnswer.from_json(body.get("answer"))
        self.in_force.take(signed)
        self._log(
            "answer", release=signed.release, site=signed.site, period=signed.period, action=signed.action,
            person=signed.person,
        )  # fmt: skip
        return {"taken": True}

    def _log(self, kind: str, **facts: Fact) -> None:
        self.log.append(kind, facts, self.clock())
