"""A data permit that a hospital can check by itself: who may compute what, on which data, what for, until when.

The purposes are the closed list of Regulation (EU) 2025/327 on the European Health Data Space, article 53(1); a permit
is what its article 68 calls one.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from sixfold.design.yaml_source import load_yaml
from sixfold.files import json_text, replace_bytes
from sixfold.systems.hospital.keys import signed_by

__all__ = ["Permit", "Purpose", "load_permit", "sign_permit", "write_permit"]

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=400)]


class Purpose(StrEnum):
    """Article 53(1), (a) to (f). What is not among them is refused, as article 54 forbids in part by name."""

    PUBLIC_HEALTH = "public-or-occupational-health"  # (a)
    POLICY = "policy-making-or-regulation"  # (b)
    STATISTICS = "official-statistics"  # (c)
    EDUCATION = "education"  # (d)
    SCIENTIFIC_RESEARCH = "scientific-research"  # (e), training and testing of algorithms included
    CARE = "improvement-of-care"  # (f)


class Permit(BaseModel):
    """One permit. epsilon, delta: the most privacy that model updates may cost each patient; None asks for no noise.

    masked: model updates only as sums that nobody can take apart. signature: of whoever issued it, over all the rest.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    id: Name
    dataset: Name
    purpose: Purpose
    holder: Text
    issued_by: Text
    not_before: AwareDatetime
    expires: AwareDatetime
    outputs: tuple[Name, ...] = Field(min_length=1)
    features: tuple[Text, ...] = Field(min_length=1)
    minimum_cohort: int = Field(ge=1)
    minimum_sites: int = Field(ge=1)
    masked: bool = True
    epsilon: float | None = Field(default=None, gt=0)
    delta: float | None = Field(default=None, gt=0, lt=1)
    signature: str = ""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.expires <= self.not_before:
            raise ValueError("it expires before it begins")
        if (self.epsilon is None) != (self.delta is None):
            raise ValueError("epsilon and delta go together")
        return self

    def signed(self, key: Ed25519PublicKey) -> bool:
        """Whether the holder of this key issued it, word for word."""
        return signed_by(key, self.signature, _content(self))

    def holds_at(self, now: datetime) -> bool:
        """Whether it is in force."""
        return self.not_before <= now < self.expires


def load_permit(path: Path) -> Permit:
    """Read a permit; InputError names the file, the line and the field."""
    return load_yaml(path, Permit)


def sign_permit(permit: Permit, key: Ed25519PrivateKey) -> Permit:
    """The permit with its issuer's signature."""
    return permit.model_copy(update={"signature": key.sign(_content(permit)).hex()})


def write_permit(path: Path, permit: Permit) -> None:
    """Write it as YAML, whole or not at all."""
    record = permit.model_dump(mode="json", exclude_none=True)
    replace_bytes(path, yaml.safe_dump(record, sort_keys=False).encode())


def _content(permit: Permit) -> bytes:
    return b"sixfold permit 1\n" + json_text(permit.model_dump(mode="json", exclude={"signature"})).encode()
