"""The models that hospitals train together, each over one flat float64 vector of parameters."""

# Shapes: N records, D features, P parameters; the intercept is the last of them.

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from sixfold.errors import ConfigError, InputError
from sixfold.systems.hospital.cohort import Cohort
from sixfold.systems.hospital.train.algorithm import Order
from sixfold.systems.hospital.train.mlp import Mlp
from sixfold.systems.hospital.train.partial_likelihood import breslow_terms

__all__ = ["Cox", "Linear", "Logistic", "Mlp", "Model", "Records", "model_from", "number", "records_of"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Scored:
    """A loss of the score x.w + b: its value, slope and curvature in the score are all that a subclass adds."""

    features: int

    @property
    def size(self) -> int:
        """P = D + 1."""
        return self.features + 1

    @property
    def penalised(self) -> NDArray[np.bool_]:
        """All but the intercept."""
        return np.asarray(np.arange(self.size) < self.features)

    @property
    def head(self) -> NDArray[np.bool_]:
        """What a hospital may keep for itself: the intercept."""
        return np.asarray(np.arange(self.size) == self.features)

    def settings(self) -> dict[str, float | int | str]:
        """What an order says of the model."""
        return {"model": type(self).__name__.lower(), "features": self.features}

    def initial(self, seed: int) -> Floats:
        """Zeros: the loss is convex, the seed does not matter."""
        return np.zeros(self.size)

    def outcome(self, cohort: Cohort) -> Floats:
        """y_N."""
        return cohort.y_N

    def loss_and_gradient(self, theta_P: Floats, X_ND: Floats, y_N: Floats) -> tuple[float, Floats]:
        """The mean loss of the records, and its gradient."""
        loss_N, slope_N, _ = self.of_score(X_ND @ theta_P[:-1] + theta_P[-1], y_N)
        return float(loss_N.mean()), np.append(X_ND.T @ slope_N, slope_N.sum()) / len(y_N)

    def per_record_gradients(self, theta_P: Floats, X_ND: Floats, y_N: Floats) -> Floats:
        """(N, P): of each record's own loss."""
        _, slope_N, _ = self.of_score(X_ND @ theta_P[:-1] + theta_P[-1], y_N)
        return np.column_stack([X_ND, np.ones(len(y_N))]) * slope_N[:, None]

    def curvature(self, theta_P: Floats, X_ND: Floats, y_N: Floats) -> tuple[float, Floats, Floats]:
        """The summed loss, its gradient (P) and its Hessian (P, P)."""
        loss_N, slope_N, weight_N = self.of_score(X_ND @ theta_P[:-1] + theta_P[-1], y_N)
        Z_NP = np.column_stack([X_ND, np.ones(len(y_N))])
        return float(loss_N.sum()), Z_NP.T @ slope_N, (Z_NP * weight_N[:, None]).T @ Z_NP

    def of_score(self, score_N: Floats, y_N: Floats) -> tuple[Floats, Floats, Floats]:
        """Each record's loss, and its first and second derivative in the score."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Logistic(_Scored):
    """Log loss; the prediction is a probability."""

    def of_score(self, score_N: Floats, y_N: Floats) -> tuple[Floats, Floats, Floats]:
        p_N = expit(score_N)
        return np.logaddexp(0.0, score_N) - y_N * score_N, p_N - y_N, p_N * (1.0 - p_N)

    def predict(self, theta_P: Floats, X_ND: Floats) -> Floats:
        """The probability of the outcome, N."""
        return np.asarray(expit(X_ND @ theta_P[:-1] + theta_P[-1]))


@dataclass(frozen=True, slots=True)
class Linear(_Scored):
    """Half the squared distance of the score to 2y - 1; solved in one round, exactly."""

    def of_score(self, score_N: Floats, y_N: Floats) -> tuple[Floats, Floats, Floats]:
        slope_N = score_N - (2.0 * y_N - 1.0)
        return slope_N**2 / 2.0, slope_N, np.ones(len(y_N))

    def predict(self, theta_P: Floats, X_ND: Floats) -> Floats:
        """The least-squares probability of the outcome, cut to [0, 1], N."""
        return np.asarray(np.clip((X_ND @ theta_P[:-1] + theta_P[-1] + 1.0) / 2.0, 0.0, 1.0))


@dataclass(frozen=True, slots=True)
class Cox:
    """Proportional hazards with a linear risk and no intercept; the outcome is (time, event).

    Its loss is the negative log partial likelihood over the number of records. Over several hospitals the sum of
    these is the likelihood stratified by hospital: each has a baseline hazard of its own.
    """

    features: int

    @property
    def size(self) -> int:
        """P = D."""
        return self.features

    @property
    def penalised(self) -> NDArray[np.bool_]:
        """All."""
        return np.ones(self.features, dtype=bool)

    @property
    def head(self) -> NDArray[np.bool_]:
        """Nothing: what is a hospital's own is its baseline hazard, which is no parameter here."""
        return np.zeros(self.features, dtype=bool)

    def settings(self) -> dict[str, float | int | str]:
        """What an order says of the model."""
        return {"model": "cox", "features": self.features}

    def initial(self, seed: int) -> Floats:
        """Zeros: the loss is convex, the seed does not matter."""
        return np.zeros(self.features)

    def outcome(self, cohort: Cohort) -> Floats:
        """(N, 2): time in days, and whether it is of an event. Raises InputError without times."""
        if cohort.time_N is None:
            raise InputError(f"{cohort.site}: a survival model needs times to event", field="time")
        return np.column_stack([cohort.time_N, cohort.y_N])

    def loss_and_gradient(self, theta_P: Floats, X_ND: Floats, y_N2: Floats) -> tuple[float, Floats]:
        """The negative log partial likelihood over the number of records, and its gradient."""
        loss, gradient_P, _ = self.curvature(theta_P, X_ND, y_N2)
        return loss / len(y_N2), gradient_P / len(y_N2)

    def curvature(self, theta_P: Floats, X_ND: Floats, y_N2: Floats) -> tuple[float, Floats, Floats]:
        """The negative log partial likelihood, its gradient (P) and its Hessian (P, P)."""
        return breslow_terms(theta_P, X_ND, y_N2[:, 0], y_N2[:, 1])

    def predict(self, theta_P: Floats, X_ND: Floats) -> Floats:
        """The log relative hazard, N: higher is sooner."""
        return X_ND @ theta_P


Model = Linear | Logistic | Mlp | Cox


@dataclass(frozen=True, slots=True)
class Records:
    """What an order asks to compute on, and over what: y is the model's outcome, (N,) or (N, 2)."""

    model: Model
    theta_P: Floats
    X_ND: Floats
    y: Floats

    def __len__(self) -> int:
        return len(self.y)


def model_from(settings: dict[str, float | int | str]) -> Model:
    """The model of an order's or a configuration's settings. Raises ConfigError for one that there is not."""
    name, features = settings.get("model"), int(settings.get("features", 0))
    if features < 1:
        raise ConfigError(f"model: got {features} features, expected at least 1")
    match name:
        case "linear":
            return Linear(features)
        case "logistic":
            return Logistic(features)
        case "cox":
            return Cox(features)
        case "mlp":
            hidden = int(settings.get("hidden", 0))
            if hidden < 1:
                raise ConfigError(f"hidden: got {hidden}, expected at least 1 unit")
            return Mlp(features, hidden)
    raise ConfigError(f"model: got {name!r}, expected cox, linear, logistic or mlp")


def number(order: Order, name: str) -> float:
    """A number among an order's settings; InputError if it is not there."""
    value = order.settings.get(name)
    if not isinstance(value, int | float):
        raise InputError(f"{order.work}: got {value!r}, expected a number", field=name)
    return float(value)


def records_of(order: Order, cohort: Cohort) -> Records:
    """Unpack an order at a hospital. Raises InputError when parameters or features are not those of the model."""
    model, theta_P = model_from(dict(order.settings)), order.arrays["theta"]
    if theta_P.shape != (model.size,) or cohort.X_ND.shape[1] != model.features:
        raise InputError(
            f"{cohort.site}: got parameters {theta_P.shape} and {cohort.X_ND.shape[1]} features, "
            f"expected ({model.size},) and {model.features}"
        )
    if not np.isfinite(cohort.X_ND).all():
        raise InputError(f"{cohort.site}: a feature is missing or infinite: fill it in before training", field="X")
    return Records(model, theta_P, cohort.X_ND, model.outcome(cohort))
