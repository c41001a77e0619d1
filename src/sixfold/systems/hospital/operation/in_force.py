"""At a hospital: which release is in force, what has been reported about it, and what a person decided on it."""

# Shapes: P parameters, N patients.

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from numpy.typing import NDArray

from sixfold.errors import InputError
from sixfold.files import append_json_line, json_text, read_json, read_json_lines, replace_json
from sixfold.systems.hospital.cohort import Cohort
from sixfold.systems.hospital.federation.job import Job, Output
from sixfold.systems.hospital.federation.reporting import LEAST_PATIENTS
from sixfold.systems.hospital.federation.site_state import RoundRefused
from sixfold.systems.hospital.monitor_report import SCORE, Report, report_to, site_report
from sixfold.systems.hospital.operation.release import Release, backbone_digest, read_release, write_release
from sixfold.systems.hospital.operation.signed_answer import SignedAnswer
from sixfold.systems.hospital.operation.vouched_report import is_vouched
from sixfold.systems.hospital.provision import Kit
from sixfold.systems.hospital.train.algorithm import Arrays
from sixfold.systems.hospital.train.models import Cox
from sixfold.systems.hospital.train.personal import predict_personal

__all__ = ["MOST_REPORTED", "InForce", "Scored"]

Floats = NDArray[np.float64]

MOST_REPORTED = 8  # parameters of one training job


@dataclass(frozen=True, slots=True)
class Scored:
    """values: what a plan counts of patients, N each. y_N, score_N: their outcomes, and what the model says."""

    values: Mapping[str, Floats]
    y_N: Floats
    score_N: Floats

    @staticmethod
    def of(release: Release, cohort: Cohort, kept: Arrays) -> Scored:
        """Patients as the release sees them, with what this hospital kept of training. Raises InputError."""
        model = release.predictor
        if isinstance(model, Cox):
            raise InputError("cox: only probabilities are watched")
        score_N = predict_personal(model, release.theta_P, kept, cohort.X_ND)
        columns = {name: cohort.X_ND[:, at] for at, name in enumerate(cohort.features)}
        missing = release.plan.edges.keys() - columns.keys() - {SCORE}
        if missing:
            raise InputError(f"{cohort.site}: no column {', '.join(sorted(missing))} that the plan counts")
        watched = {name: score_N if name == SCORE else columns[name] for name in release.plan.edges}
        return Scored(watched, cohort.y_N, score_N)


@dataclass(frozen=True, slots=True)
class InForce:
    """What a hospital knows of releases, in a folder of its own; at most one is in force.

    trusted: the keys whose holders may decide. A period's report is made once and kept: made again after a patient came
    or went, the two would differ by that patient.
    """

    folder: Path
    kit: Kit
    trusted: Callable[[], Sequence[Ed25519PublicKey]]

    def current(self) -> Release | None:
        """The release in force here; InputError when its files were changed."""
        path = self.folder / "in_force.json"
        digest = read_json(path)["release"] if path.exists() else ""
        if not digest:
            return None
        release, _ = read_release(self._of(digest), self.kit.roster)
        if release.digest != digest:
            raise InputError("not the release that is in force here", path=self._of(digest))
        return release

    def named(self, digest: Any) -> Release:
        """The release in force, which has to be this one; RoundRefused otherwise."""
        release = self.current()
        if release is None or release.digest != digest:
            raise RoundRefused("this release is not in force here")
        return release

    def keep_reported(self, trained: str, theta_P: Floats, report: Mapping[str, Any]) -> None:
        """Write down what is said of parameters that the job `trained` came to, before it is said.

        RoundRefused for more than MOST_REPORTED of one job: exact reports on many slightly different parameters can be
        solved for single patients (Dinur and Nissim, "Revealing information while preserving privacy", PODS 2003).
        """
        path = self._reported(trained, theta_P)
        known = {each.name for each in path.parent.glob("*.json")}
        if path.name not in known and len(known) >= MOST_REPORTED:
            raise RoundRefused(f"{len(known)} other parameters of this training were reported on: that is the most")
        replace_json(path, dict(report))

    def accept(self, release: Release, reference: Report) -> str:
        """Take a release into force and sign it; the signature. A second time is as good as once.

        reference: of the patients that its monitoring compares with. Raises RoundRefused with every reason: the gate's,
        a report that is not what this hospital, or another, said of these parameters, a plan of cells that are too
        small, no person, or another predecessor.
        """
        reasons = [reason.text for reason in release.verdict().reasons]
        path = self._reported(release.job.digest, release.theta_P)
        said, evidence = read_json(path) if path.exists() else None, release.reports.get(self.kit.name)
        if said is None or evidence is None or json_text(said) != json_text(dict(evidence)):
            reasons.append(f"the evidence does not hold what {self.kit.name} said of these parameters")
        for site, report in release.reports.items():
            if site not in self.kit.roster or not is_vouched(self.kit.roster[site], release.theta_P, report):
                reasons.append(f"{site} did not say of these parameters what the evidence has of it")
        if release.plan.least_count < LEAST_PATIENTS:
            reasons.append(
                f"its plan counts cells of {release.plan.least_count} patients, {LEAST_PATIENTS} are the least"
            )
        if not release.person.strip():
            reasons.append("nobody answers for it")
        current = self.current()
        if current and release.digest != current.digest and release.replaces != current.digest:
            reasons.append("it does not replace the release that is in force here")
        if reasons:
            raise RoundRefused("; ".join(reasons))
        signature = release.signature(self.kit.signing_key)
        write_release(self._of(release.digest), release, {self.kit.name: signature})
        self._keep_report(release, reference)
        replace_json(self.folder / "in_force.json", {"release": release.digest})
        return signature

    def report(self, release: Release, period: int) -> Any:
        """What was told of this period before, as plain values; None if nothing was."""
        path = self._period(release, period)
        return read_json(path) if path.exists() else None

    def tell(self, release: Release, period: int, now: Scored, then: Scored | None) -> Any:
        """Count a period's patients, and the outcomes of those of `delay` periods ago; kept before it leaves."""
        known = None if then is None else (then.y_N, then.score_N)
        self._keep_report(release, site_report(release.plan, self.kit.name, period, now.values, known))
        return self.report(release, period)

    def take(self, signed: SignedAnswer) -> None:
        """Write down a person's decision. Raises RoundRefused when nobody trusted signed it.

        "withdraw" ends the release here; "retrain" lets a job replace it.
        """
        release = self.named(signed.release)
        if not signed.signed(self.trusted()):
            raise RoundRefused("signature: none of those who may decide here signed this answer")
        path = self._of(release.digest) / "answers.jsonl"
        if (record := signed.model_dump(mode="json")) not in read_json_lines(path):
            append_json_line(path, record)
        if signed.action == "withdraw":
            replace_json(self.folder / "in_force.json", {"release": ""})

    def may_train(self, job: Job) -> None:
        """Raises RoundRefused for a job that would train anew what is in force, unless a person decided so."""
        release = self.current()
        if release is None or job.output is not Output.MODEL_UPDATE or job.dataset != release.job.dataset:
            return
        answers = read_json_lines(self._of(release.digest) / "answers.jsonl")
        decided = any(answer["action"] == "retrain" for answer in answers)
        if job.replaces != release.digest or not decided:
            raise RoundRefused(
                f"release {release.digest[:12]} is in force here: only a job that says it replaces it may train, "
                "after a named person has decided so"
            )

    def _keep_report(self, release: Release, report: Report) -> None:
        path = self._period(release, report.period)
        if not path.exists():
            replace_json(path, report_to(report))

    def _period(self, release: Release, period: int) -> Path:
        return self._of(release.digest) / "periods" / f"{period}.json"

    def _of(self, digest: str) -> Path:
        return self.folder / digest[:16]

    def _reported(self, trained: str, theta_P: Floats) -> Path:
        return self.folder / "reported" / trained[:16] / f"{backbone_digest(theta_P)[:32]}.json"
