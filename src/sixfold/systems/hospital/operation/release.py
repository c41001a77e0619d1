"""A release: the common model, the limits that it was judged and is watched by, and the evidence; frozen and signed.

Three files, a digest over them, and the signatures of those who hold them. Nothing in it changes afterwards: another
model is another release. What a hospital keeps for itself, such as its own intercept, is in none of them.
"""

# Shapes: P parameters.

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from numpy.typing import NDArray

from sixfold.errors import ConfigError, InputError
from sixfold.files import json_text, read_json, replace_bytes, replace_json
from sixfold.parts.array_codec import pack, unpack
from sixfold.systems.hospital.federation.job import Job
from sixfold.systems.hospital.federation.reporting import metrics_from
from sixfold.systems.hospital.gate import Decision, GatePolicy, judge
from sixfold.systems.hospital.keys import signed_by
from sixfold.systems.hospital.monitor import Policy
from sixfold.systems.hospital.monitor_report import Plan
from sixfold.systems.hospital.train.models import Model, model_from

__all__ = [
    "BACKBONE",
    "EVIDENCE",
    "POLICY",
    "SIGNATURES",
    "Release",
    "backbone_digest",
    "read_files",
    "read_release",
    "write_release",
]

BACKBONE, POLICY, EVIDENCE, SIGNATURES = "backbone.bin", "policy.json", "evidence.json", "signatures.json"
_LIMIT_BYTES = 1 << 28
_SIGNED = b"sixfold release 1\n"


@dataclass(frozen=True, slots=True)
class Release:
    """job: what trained it. model: its kind, as orders have it. theta_P: its parameters.

    gate, plan, watch: the limits of the release gate, what hospitals count, and when that is an alarm. reports: what
    each hospital said of it on its test patients. facts: rounds, bytes, epsilon and the like. heads: of the logs when
    it was frozen. person: who answers for it. replaces: the digest of the release before; none for the first.
    period: the one after which its monitoring begins.
    """

    job: Job
    model: Mapping[str, float | int | str]
    theta_P: NDArray[np.float64]
    gate: GatePolicy
    plan: Plan
    watch: Policy
    reports: Mapping[str, Mapping[str, Any]]
    facts: Mapping[str, float | int | str]
    heads: Mapping[str, Any]
    person: str
    replaces: str = ""
    period: int = 0

    def files(self) -> dict[str, bytes]:
        """Name -> bytes of each of the three files."""
        policy = {
            "job": self.job.to_json(),
            "model": dict(self.model),
            "gate": asdict(self.gate),
            "plan": {**asdict(self.plan), "edges": {name: list(edges) for name, edges in self.plan.edges.items()}},
            "watch": asdict(self.watch),
            "replaces": self.replaces,
            "period": self.period,
        }
        evidence = {
            "person": self.person,
            "reports": {site: dict(report) for site, report in sorted(self.reports.items())},
            "facts": dict(self.facts),
            "heads": {party: dict(head) for party, head in sorted(self.heads.items())},
        }
        return {
            BACKBONE: pack({"theta": np.asarray(self.theta_P, dtype=np.float64)}),
            POLICY: (json_text(policy, indent=2) + "\n").encode(),
            EVIDENCE: (json_text(evidence, indent=2) + "\n").encode(),
        }

    @property
    def digest(self) -> str:
        """SHA-256 over the names and SHA-256 sums of the three files, which `sha256sum` gives as well."""
        sums = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(self.files().items())}
        return hashlib.sha256(json_text(sums).encode()).hexdigest()

    @property
    def predictor(self) -> Model:
        """The model that `theta_P` are the parameters of."""
        return model_from(dict(self.model))

    def verdict(self) -> Decision:
        """The gate's decision, computed anew from the evidence; a hospital without a report blocks."""
        nothing: dict[str, Any] = {"patients": 0}
        sites = [metrics_from({"site": site, **self.reports.get(site, nothing)}) for site in self.job.sites]
        return judge(self.gate, sites)

    def signature(self, key: Ed25519PrivateKey) -> str:
        """A party's signature under all of it."""
        return key.sign(_SIGNED + self.digest.encode()).hex()

    def signed(self, key: Ed25519PublicKey, signature: str) -> bool:
        """Whether it is this key's."""
        return signed_by(key, signature, _SIGNED + self.digest.encode())

    @staticmethod
    def from_files(files: Mapping[str, Any]) -> Release:
        """Read it back; InputError names the file and what is wrong in it."""
        for name in (BACKBONE, POLICY, EVIDENCE):
            data = files.get(name)
            if not isinstance(data, bytes) or len(data) > _LIMIT_BYTES:
                raise InputError("is missing, or too long for a release", field=name)
        name = BACKBONE
        try:
            theta_P = unpack(files[name], _LIMIT_BYTES)["theta"]
            name = POLICY
            policy = json.loads(files[name])
            edges = {of: tuple(map(float, cuts)) for of, cuts in policy["plan"]["edges"].items()}
            job, gate, watch = Job.from_json(policy["job"]), GatePolicy(**policy["gate"]), Policy(**policy["watch"])
            plan = Plan(**{**policy["plan"], "edges": edges})
            replaces, period = str(policy["replaces"]), int(policy["period"])
            name = EVIDENCE
            evidence = json.loads(files[name])
            release = Release(
                job, policy["model"], theta_P, gate, plan, watch, **evidence, replaces=replaces, period=period
            )
            size = release.predictor.size
        except (ValueError, KeyError, TypeError, AttributeError, ConfigError, InputError) as error:
            raise InputError(f"not a release's: {type(error).__name__}: {str(error)[:120]}", field=name) from None
        if not isinstance(theta_P, np.ndarray) or theta_P.shape != (size,) or not np.isfinite(theta_P).all():
            raise InputError(f"expected {size} finite parameters", field=BACKBONE)
        if release.files() != {name: files[name] for name in release.files()}:
            raise InputError("is not written as a release is, so that its digest would be another's", field=name)
        return release


def backbone_digest(theta_P: NDArray[np.float64]) -> str:
    """What stands for parameters: a hospital's report and a release have to be of the same."""
    return hashlib.sha256(pack({"theta": np.asarray(theta_P, dtype=np.float64)})).hexdigest()


def write_release(folder: Path, release: Release, signatures: Mapping[str, str]) -> None:
    """The three files and who signed them."""
    for name, data in release.files().items():
        replace_bytes(folder / name, data)
    replace_json(folder / SIGNATURES, dict(sorted(signatures.items())))


def read_files(folder: Path) -> Release:
    """A release whoever signed it, or nobody. InputError when a file is missing or is not a release's."""
    try:
        return Release.from_files({name: (folder / name).read_bytes() for name in (BACKBONE, POLICY, EVIDENCE)})
    except OSError as error:
        raise InputError(f"no release: {error.strerror}", path=folder) from None
    except InputError as error:
        raise InputError(str(error), path=folder) from None


def read_release(folder: Path, roster: Mapping[str, Ed25519PublicKey]) -> tuple[Release, tuple[str, ...]]:
    """A release and the parties that signed it. InputError when a file is missing or was changed, or nobody signed."""
    release = read_files(folder)
    found = read_json(folder / SIGNATURES)
    if not isinstance(found, dict):
        raise InputError("not signatures", path=folder / SIGNATURES)
    for party, signature in found.items():
        if party not in roster or not isinstance(signature, str) or not release.signed(roster[party], signature):
            raise InputError(f"{party} did not sign this release: a file was changed", path=folder / SIGNATURES)
    if not found:
        raise InputError("nobody signed this release", path=folder / SIGNATURES)
    return release, tuple(sorted(found))
