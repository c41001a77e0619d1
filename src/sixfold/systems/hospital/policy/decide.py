"""Whether a hospital lets a job read its data: pure, before anything is read, and no unless everything says yes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from sixfold.systems.hospital.policy.permit import Permit

__all__ = ["Decision", "Request", "decide", "enough"]

_MODEL_UPDATE = "model_update"


@dataclass(frozen=True, slots=True)
class Request:
    """What a job asks for. epsilon, delta: what it promises each patient; None where nothing is added."""

    permit: str
    dataset: str
    purpose: str
    output: str
    features: tuple[str, ...]
    minimum_sites: int
    masked: bool
    epsilon: float | None = None
    delta: float | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """reasons: why not, each beginning with the permit's field; none if it is allowed."""

    reasons: tuple[str, ...]

    @property
    def allowed(self) -> bool:
        """Whether the job may go on."""
        return not self.reasons


def decide(request: Request, permit: Permit | None, trusted: Sequence[Ed25519PublicKey], now: datetime) -> Decision:
    """Hold a job against its permit, which one of the `trusted` keys must have signed.

    Mask and privacy are asked of model updates: statistics and metrics are aggregates, and leave only if the permit
    lists them.
    """
    if permit is None:
        return Decision((f"id: there is no permit {request.permit!r} here: no permit, no answer",))
    reasons = []
    if permit.id != request.permit:
        reasons.append(f"id: got {request.permit}, this is {permit.id}")
    if not any(permit.signed(key) for key in trusted):
        reasons.append("signature: none of those whose permits count here signed it")
    if not permit.holds_at(now):
        field = "not_before" if now < permit.not_before else "expires"
        reasons.append(f"{field}: in force from {permit.not_before:%Y-%m-%d} to {permit.expires:%Y-%m-%d}")
    if permit.dataset != request.dataset:
        reasons.append(f"dataset: got {request.dataset}, it is for {permit.dataset}")
    if permit.purpose.value != request.purpose:
        reasons.append(f"purpose: got {request.purpose}, it is for {permit.purpose.value}")
    if request.output not in permit.outputs:
        reasons.append(f"outputs: {request.output} may not leave, only {', '.join(permit.outputs)}")
    if more := sorted(set(request.features) - set(permit.features)):
        reasons.append(f"features: {', '.join(more)} are not covered")
    if not request.minimum_sites >= permit.minimum_sites:  # so that what is not a number is refused
        reasons.append(f"minimum_sites: got {request.minimum_sites}, at least {permit.minimum_sites}")
    if request.output == _MODEL_UPDATE:
        reasons.extend(_protection(request, permit))
    return Decision(tuple(reasons))


def enough(permit: Permit, patients: int) -> Decision:
    """The second check, when it is known how many patients of the job's part are left after those who opted out."""
    if patients < permit.minimum_cohort:
        return Decision((f"minimum_cohort: fewer than {permit.minimum_cohort} patients are left",))
    return Decision(())


def _protection(request: Request, permit: Permit) -> list[str]:
    reasons = []
    if permit.masked and not request.masked:
        reasons.append("masked: model updates may leave in masked sums only")
    if permit.epsilon is not None and permit.delta is not None:
        if request.epsilon is None or request.delta is None:
            reasons.append(f"epsilon: no privacy is promised, at most {permit.epsilon:g} may be spent")
        else:
            if not 0 < request.epsilon <= permit.epsilon:
                reasons.append(f"epsilon: got {request.epsilon:g}, more than 0 and at most {permit.epsilon:g}")
            if not 0 < request.delta <= permit.delta:
                reasons.append(f"delta: got {request.delta:g}, more than 0 and at most {permit.delta:g}")
    return reasons
