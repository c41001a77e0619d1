"""What the coordinator does with an average update: a step along it, or one scaled by what came before."""

# Shapes: P parameters.

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sixfold.errors import ConfigError
from sixfold.systems.hospital.train.algorithm import Arrays

__all__ = ["PLAIN", "Adaptive", "Averaging", "Rule", "ServerOptimizer"]

Floats = NDArray[np.float64]


class ServerOptimizer(Protocol):
    """Pure: what it remembers is plain arrays in the state of training."""

    def init(self, size: int) -> Arrays:
        """Before the first round."""

    def step(self, theta_P: Floats, update_P: Floats, memory: Arrays) -> tuple[Floats, Arrays]:
        """The parameters after moving along `update_P`, a direction of descent, and what to remember."""


@dataclass(frozen=True, slots=True)
class Averaging:
    """theta + rate * velocity, velocity = momentum * velocity + update; without momentum and at rate 1 plain FedAvg.

    Source: Hsu et al., "Measuring the effects of non-identical data distribution for federated visual
    classification", 2019 (FedAvgM). Raises ConfigError.
    """

    rate: float = 1.0
    momentum: float = 0.0

    def __post_init__(self) -> None:
        if not self.rate > 0 or not 0 <= self.momentum < 1:
            raise ConfigError(
                f"got server_rate={self.rate:g}, server_momentum={self.momentum:g}, expected above 0 and within [0, 1)"
            )

    def init(self, size: int) -> Arrays:
        return {"velocity": np.zeros(size)}

    def step(self, theta_P: Floats, update_P: Floats, memory: Arrays) -> tuple[Floats, Arrays]:
        velocity_P = self.momentum * memory["velocity"] + update_P
        return theta_P + self.rate * velocity_P, {"velocity": velocity_P}


PLAIN = Averaging()


class Rule(StrEnum):
    """How the second moment of updates is kept."""

    ADAM = "adam"
    YOGI = "yogi"
    ADAGRAD = "adagrad"


@dataclass(frozen=True, slots=True)
class Adaptive:
    """theta + rate * m / (sqrt(v) + tau), without a correction of the first steps' bias; v begins at tau^2.

    Source: Reddi et al., "Adaptive federated optimization", ICLR 2021, algorithm 2. Raises ConfigError.
    """

    rule: Rule
    rate: float = 0.1
    beta1: float = 0.9
    beta2: float = 0.99
    tau: float = 1e-3

    def __post_init__(self) -> None:
        if not (self.rate > 0 and self.tau > 0 and 0 <= self.beta1 < 1 and 0 <= self.beta2 < 1):
            raise ConfigError(
                f"got server_rate={self.rate:g}, tau={self.tau:g}, beta1={self.beta1:g}, beta2={self.beta2:g}, "
                "expected rate and tau above 0, both betas within [0, 1)"
            )

    def init(self, size: int) -> Arrays:
        return {"m": np.zeros(size), "v": np.full(size, self.tau**2)}

    def step(self, theta_P: Floats, update_P: Floats, memory: Arrays) -> tuple[Floats, Arrays]:
        m_P = self.beta1 * memory["m"] + (1.0 - self.beta1) * update_P
        v_P, square_P = memory["v"], update_P**2
        match self.rule:
            case Rule.ADAM:
                v_P = self.beta2 * v_P + (1.0 - self.beta2) * square_P
            case Rule.YOGI:
                v_P = v_P - (1.0 - self.beta2) * square_P * np.sign(v_P - square_P)
            case Rule.ADAGRAD:
                v_P = v_P + square_P
        return theta_P + self.rate * m_P / (np.sqrt(v_P) + self.tau), {"m": m_P, "v": v_P}
