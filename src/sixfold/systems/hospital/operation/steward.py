"""The coordinator's side of operation: a release and its signatures, periods, alarms, and what people decide on them.

Everything that came is a line of events.jsonl in the release's folder; where monitoring stands is computed from it.
"""

# Shapes: P parameters.

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sixfold.errors import ConfigError, InputError, UserError
from sixfold.files import append_json_line, read_json, read_json_lines, replace_json
from sixfold.systems.hospital.federation.coordinator import Coordinator, Finished
from sixfold.systems.hospital.federation.job import Job
from sixfold.systems.hospital.federation.messages import Phase
from sixfold.systems.hospital.federation.reporting import judging_order
from sixfold.systems.hospital.gate import GatePolicy
from sixfold.systems.hospital.monitor import Monitor, Policy, SiteState
from sixfold.systems.hospital.monitor import Phase as Stand
from sixfold.systems.hospital.monitor_report import Plan, Report, report_from, report_to
from sixfold.systems.hospital.operation.release import SIGNATURES, Release, read_files, read_release, write_release
from sixfold.systems.hospital.operation.signed_answer import SignedAnswer
from sixfold.systems.hospital.train.models import Cox, model_from

__all__ = ["ReleaseBlocked", "Released", "Steward", "in_force", "replayed", "states_of"]


class ReleaseBlocked(UserError):  # noqa: N818  an answer, not a mistake
    """The gate or the hospitals said no; says every reason."""


@dataclass(frozen=True, slots=True)
class Released:
    """Which hospitals signed; of those, who cannot be watched, and why; and who refused, and why."""

    signed: tuple[str, ...]
    unwatched: Mapping[str, str]
    refused: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Steward:
    """Releases what a coordinator trained, and watches it. folder: of releases, beside the coordinator's jobs."""

    coordinator: Coordinator
    folder: Path

    def candidate(
        self,
        finished: Finished,
        model: Mapping[str, float | int | str],
        gate: GatePolicy,
        plan: Plan,
        watch: Policy,
        person: str,
        facts: Mapping[str, float | int | str],
        period: int = 0,
    ) -> Release:
        """Ask all hospitals what the trained model is worth on their test patients, and put a release together.

        It is kept until it is released or blocked: a coordinator that was killed among the hospitals' signatures goes
        on with the same one. Raises ConfigError for a model that does not predict probabilities.
        """
        if (pending := self._pending(finished.job, person)) is not None:
            return pending
        theta_P: NDArray[np.float64] = np.asarray(finished.state.arrays["theta"])
        predictor = model_from(dict(model))
        if isinstance(predictor, Cox):
            raise ConfigError("cox: only models that predict probabilities are released")
        order = judging_order(predictor, theta_P, gate.target_accuracy)
        reports = self.coordinator.reports(finished.job.judging, order)
        heads = {**self.coordinator.heads, self.coordinator.kit.name: self.coordinator.log.signed_head()}
        before = in_force(self.folder, self.coordinator.kit.roster)
        release = Release(
            finished.job, model, theta_P, gate, plan, watch, reports, facts, heads, person,
            replaces=before.digest if before else "", period=period,
        )  # fmt: skip
        write_release(self._candidate, release, {})
        return release

    @property
    def _candidate(self) -> Path:
        return self.folder / "candidate"

    def _pending(self, job: Job, person: str) -> Release | None:
        if not (self._candidate / SIGNATURES).exists():
            return None
        pending = read_files(self._candidate)
        return pending if (pending.job, pending.person) == (job, person) else None

    def release(self, release: Release) -> Released:
        """Put it in force where hospitals agree.

        Raises ReleaseBlocked when the gate blocks it, or fewer hospitals sign it than the job's minimum. Again, after a
        crash, goes on.
        """
        at = self.coordinator.clock
        if reasons := release.verdict().reasons:
            self.coordinator.log.append("release_blocked", {"release": release.digest, "reasons": len(reasons)}, at())
            blocked = {"release": release.digest, "at": at(), "reasons": [reason.text for reason in reasons]}
            replace_json(self.folder / "blocked.json", {**blocked, "reports": dict(release.reports)})
            shutil.rmtree(self._candidate, ignore_errors=True)
            raise ReleaseBlocked("; ".join(reason.text for reason in reasons))
        answers, refusals = self.coordinator.tell(release.job.judging, Phase.RELEASE, {"files": release.files()})
        roster, signatures = self.coordinator.kit.roster, dict[str, str]()
        watched, unwatched = dict[str, Report](), dict[str, str]()
        for site, answer in answers.items():
            if not release.signed(roster[site], str(answer.get("signature"))):
                refusals[site] = f"{site} signed something else"
                continue
            signatures[site] = str(answer["signature"])
            try:
                reference = report_from(answer.get("reference"), release.plan, site, release.period)
                Monitor(release.plan, release.watch).init(reference)
                watched[site] = reference
            except InputError as error:
                unwatched[site] = str(error)
        if len(signatures) < release.job.minimum_sites:
            told = "; ".join(f"{site}: {why}" for site, why in sorted(refusals.items()))
            raise ReleaseBlocked(
                f"{len(signatures)} hospitals signed, {release.job.minimum_sites} are the least: {told}"
            )
        signatures[self.coordinator.kit.name] = release.signature(self.coordinator.kit.signing_key)
        home = _home(self.folder, release.digest)
        write_release(home, release, signatures)
        known = {event["site"] for event in read_json_lines(home / "events.jsonl") if event["kind"] == "reference"}
        for site, reference in watched.items():
            if site not in known:
                event = {"kind": "reference", "site": site, "report": report_to(reference)}
                append_json_line(home / "events.jsonl", event)
        replace_json(self.folder / "in_force.json", {"release": release.digest})
        self.coordinator.log.append("release", {"release": release.digest, "person": release.person}, at())
        shutil.rmtree(self._candidate, ignore_errors=True)
        return Released(tuple(sorted(answers.keys() & signatures.keys())), unwatched, refusals)

    def watch(self, period: int = 0) -> dict[str, SiteState]:
        """Ask every hospital about the next period, which `period` has to be if it is told; where each monitor stands.

        One that does not answer, or with what no hospital can have counted, was silent. Raises InputError for another
        period, and when nobody is watched.
        """
        release = self._in_force()
        states = self.states()
        if not states:
            raise InputError("no hospital is watched with the release in force", path=self.folder)
        due = max(state.period for state in states.values()) + 1
        if (period := period or due) != due:
            raise InputError(f"got period {period}, expected {due}", field="period")
        body = {"release": release.digest, "period": period}
        answers, _ = self.coordinator.tell(release.job.judging, Phase.WATCH, body)
        reports: dict[str, Any] = {}
        for site in states:
            try:
                told = answers[site]["report"]
                reports[site] = None if told is None else report_to(report_from(told, release.plan, site, period))
            except (InputError, KeyError):
                reports[site] = None
        append_json_line(
            _home(self.folder, release.digest) / "events.jsonl",
            {"kind": "period", "period": period, "reports": reports},
        )
        after = self.states()
        for site, state in after.items():
            if state.phase is Stand.ALARMED and states[site].phase is not Stand.ALARMED:
                why = "; ".join(state.reasons)[:400]
                facts: dict[str, str | int] = {"release": release.digest, "site": site, "period": period, "why": why}
                self.coordinator.log.append("alarm", facts, self.coordinator.clock())
        return after

    def answer(self, signed: SignedAnswer) -> dict[str, str]:
        """Tell all hospitals what a person decided on an alarm; who refuses it, and why.

        Raises InputError when there is no such alarm; it is then told to nobody.
        """
        release = self._in_force()
        state = self.states().get(signed.site)
        if signed.release != release.digest or state is None:
            raise InputError(f"no hospital {signed.site} is watched with the release {signed.release[:12]}")
        Monitor(release.plan, release.watch).decide(state, signed.answer)
        record = signed.model_dump(mode="json")
        answers, refusals = self.coordinator.tell(release.job.judging, Phase.ANSWER, {"answer": record})
        if not answers:
            raise UserError("; ".join(f"{site}: {why}" for site, why in sorted(refusals.items())))
        append_json_line(_home(self.folder, release.digest) / "events.jsonl", {"kind": "answer", "answer": record})
        facts = {"release": release.digest, "site": signed.site, "action": signed.action, "person": signed.person}
        self.coordinator.log.append("answer", facts, self.coordinator.clock())
        if signed.action == "withdraw":
            replace_json(self.folder / "in_force.json", {"release": ""})
        return refusals

    def states(self) -> dict[str, SiteState]:
        """Where monitoring of the release in force stands."""
        release = self._in_force()
        return states_of(release, _home(self.folder, release.digest))

    def _in_force(self) -> Release:
        release = in_force(self.folder, self.coordinator.kit.roster)
        if release is None:
            raise InputError("no release is in force", path=self.folder)
        return release


def in_force(folder: Path, roster: Mapping[str, Any]) -> Release | None:
    """The release in force of a folder of releases, if there is one; InputError when it was changed."""
    path = folder / "in_force.json"
    digest = read_json(path)["release"] if path.exists() else ""
    return read_release(_home(folder, digest), roster)[0] if digest else None


def states_of(release: Release, home: Path) -> dict[str, SiteState]:
    """Where monitoring stands at each hospital, from all that came; InputError with the line of what cannot have."""
    states = dict[str, SiteState]()
    for states in replayed(release, home):  # noqa: B007  the last ones
        pass
    return states


def replayed(release: Release, home: Path) -> Iterator[dict[str, SiteState]]:
    """Where monitoring stood after each event; raises as `states_of`."""
    monitor, states = Monitor(release.plan, release.watch), dict[str, SiteState]()
    for line, event in enumerate(read_json_lines(home / "events.jsonl"), start=1):
        try:
            match event:
                case {"kind": "reference", "site": str(site), "report": told}:
                    states[site] = monitor.init(report_from(told, release.plan, site, release.period))
                case {"kind": "period", "period": int(period), "reports": dict(reports)}:
                    for site, state in states.items():
                        told = reports.get(site)
                        report = None if told is None else report_from(told, release.plan, site, period)
                        states[site] = monitor.step(state, report)
                case {"kind": "answer", "answer": record}:
                    signed = SignedAnswer.from_json(record)
                    states[signed.site] = monitor.decide(states[signed.site], signed.answer)
                case _:
                    raise InputError("not an event")
        except (InputError, KeyError) as error:
            raise InputError(str(error), path=home / "events.jsonl", line=line) from None
        yield dict(states)


def _home(folder: Path, digest: str) -> Path:
    return folder / digest[:16]
