"""A hospital's report on parameters, signed, so that other hospitals can tell that a coordinator did not make it up."""

# Shapes: P parameters.

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from numpy.typing import NDArray

from sixfold.files import json_text
from sixfold.systems.hospital.keys import signed_by
from sixfold.systems.hospital.operation.release import backbone_digest

__all__ = ["is_vouched", "vouch"]

_SIGNATURE = "vouched"


def vouch(key: Ed25519PrivateKey, theta_P: NDArray[np.float64], report: Mapping[str, Any]) -> dict[str, Any]:
    """The report with its hospital's signature, which is over these parameters too."""
    return {**report, _SIGNATURE: key.sign(_content(theta_P, report)).hex()}


def is_vouched(key: Ed25519PublicKey, theta_P: NDArray[np.float64], report: Mapping[str, Any]) -> bool:
    """Whether the hospital with this key said all of it, of these parameters."""
    return signed_by(key, str(report.get(_SIGNATURE)), _content(theta_P, report))


def _content(theta_P: NDArray[np.float64], report: Mapping[str, Any]) -> bytes:
    said = {name: value for name, value in report.items() if name != _SIGNATURE}
    return f"sixfold report 1\n{backbone_digest(theta_P)}\n{json_text(dict(sorted(said.items())))}".encode()
