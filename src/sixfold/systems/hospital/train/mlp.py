"""A network with one hidden layer over a flat vector of parameters; torch differentiates it, in float64."""

# Shapes: N records, D features, H hidden units, P parameters: W_DH, b_H, the head's w_H and its intercept.

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sixfold.systems.hospital.cohort import Cohort

__all__ = ["Mlp"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Mlp:
    """One layer of `hidden` tanh units and a logistic head; the loss is the log loss."""

    features: int
    hidden: int

    @property
    def size(self) -> int:
        """P."""
        return (self.features + 2) * self.hidden + 1

    @property
    def penalised(self) -> NDArray[np.bool_]:
        """The weights; not the intercepts."""
        weights = self.features * self.hidden
        flags = np.zeros(self.size, dtype=bool)
        flags[:weights] = flags[weights + self.hidden : -1] = True
        return flags

    @property
    def head(self) -> NDArray[np.bool_]:
        """What a hospital may keep for itself: the last layer."""
        return np.arange(self.size) >= (self.features + 1) * self.hidden

    def settings(self) -> dict[str, float | int | str]:
        """What an order says of the model."""
        return {"model": "mlp", "features": self.features, "hidden": self.hidden}

    def initial(self, seed: int) -> Floats:
        """Uniform within 1 / sqrt(fan-in); a head of zeros would hide the gradient from the layer below."""
        rng = np.random.default_rng(seed)
        bound_P = np.where(self.head, self.hidden, self.features) ** -0.5
        return np.asarray(rng.uniform(-bound_P, bound_P))

    def outcome(self, cohort: Cohort) -> Floats:
        """y_N."""
        return cohort.y_N

    def loss_and_gradient(self, theta_P: Floats, X_ND: Floats, y_N: Floats) -> tuple[float, Floats]:
        """The mean log loss of the records, and its gradient."""
        import torch

        with _one_thread(torch):
            found = torch.func.grad_and_value(self._loss)(*map(torch.tensor, (theta_P, X_ND, y_N)))
        gradient, loss = found
        return float(loss), np.asarray(gradient.numpy())

    def per_record_gradients(self, theta_P: Floats, X_ND: Floats, y_N: Floats) -> Floats:
        """(N, P): of each record's own log loss."""
        import torch

        if not len(y_N):
            return np.zeros((0, self.size))
        with _one_thread(torch):
            gradients = torch.func.vmap(torch.func.grad(self._loss), in_dims=(None, 0, 0))(
                *map(torch.tensor, (theta_P, X_ND, y_N))
            )
        return np.asarray(gradients.numpy())

    def predict(self, theta_P: Floats, X_ND: Floats) -> Floats:
        """The probability of the outcome, N."""
        import torch

        with _one_thread(torch):
            return np.asarray(torch.sigmoid(self._score(torch.tensor(theta_P), torch.tensor(X_ND))).numpy())

    def _score(self, theta: Any, X: Any) -> Any:
        layer = self.features * self.hidden
        W, b = theta[:layer].reshape(self.features, self.hidden), theta[layer : layer + self.hidden]
        return (X @ W + b).tanh() @ theta[layer + self.hidden : -1] + theta[-1]

    def _loss(self, theta: Any, X: Any, y: Any) -> Any:
        from torch.nn.functional import binary_cross_entropy_with_logits

        return binary_cross_entropy_with_logits(self._score(theta, X), y)


@contextmanager
def _one_thread(torch: Any) -> Iterator[None]:
    """Sums in one order, whatever the machine: several threads would add in an order of their own."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
