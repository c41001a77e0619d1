"""From a name and settings, as a file or a command line has them, to an algorithm."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from sixfold.errors import ConfigError
from sixfold.systems.hospital.train.algorithm import Algorithm
from sixfold.systems.hospital.train.cox import CoxBreslow, even_grid
from sixfold.systems.hospital.train.fedavg import FedAvg
from sixfold.systems.hospital.train.gradients import PrivateGradient
from sixfold.systems.hospital.train.local_sgd import LocalSgd
from sixfold.systems.hospital.train.models import Cox, Linear, Logistic, Mlp, Model, model_from
from sixfold.systems.hospital.train.newton import Newton
from sixfold.systems.hospital.train.personal import PersonalHead, PersonalIntercept
from sixfold.systems.hospital.train.private_descent import PrivateDescent
from sixfold.systems.hospital.train.ridge import Ridge
from sixfold.systems.hospital.train.scaffold import Scaffold
from sixfold.systems.hospital.train.server_optimizers import Adaptive, Averaging, Rule

__all__ = ["ALGORITHMS", "Training", "knobs", "make_algorithm"]

Knobs = dict[str, Any]


class Training(Algorithm, Protocol):
    """An algorithm that trains a model; state.arrays["theta"] are its parameters."""

    @property
    def model(self) -> Model:
        """Which model."""


# The value of a knob is what it is when it is not set, and its kind is the kind it must have.
_MODEL: Knobs = {"model": "logistic", "hidden": 16}
_LOCAL: Knobs = {"epochs": 1, "batch": 0, "learning_rate": 0.1, "momentum": 0.0, "l2": 0.0}
_AVERAGING: Knobs = {"server_rate": 1.0, "server_momentum": 0.0}
_ADAPTIVE: Knobs = {"server_rate": 0.1, "beta1": 0.9, "beta2": 0.99, "tau": 1e-3}
_TRAINING: Knobs = {**_MODEL, "rounds": 20, **_LOCAL}


def _local(knob: Knobs) -> LocalSgd:
    return LocalSgd(
        epochs=knob["epochs"],
        batch=knob["batch"],
        learning_rate=knob["learning_rate"],
        momentum=knob.get("momentum", 0.0),
        l2=knob["l2"],
        proximal=knob.get("proximal", 0.0),
    )


def _fedavg(knob: Knobs, model: Model) -> Training:
    return FedAvg(model, knob["rounds"], _local(knob), _averaging(knob))


def _averaging(knob: Knobs) -> Averaging:
    return Averaging(knob["server_rate"], knob["server_momentum"])


def _adaptive(rule: Rule) -> Callable[[Knobs, Model], Training]:
    def make(knob: Knobs, model: Model) -> Training:
        server = Adaptive(rule, knob["server_rate"], knob["beta1"], knob["beta2"], knob["tau"])
        return FedAvg(model, knob["rounds"], _local(knob), server)

    return make


def _scaffold(knob: Knobs, model: Model) -> Training:
    return Scaffold(model, knob["rounds"], _local(knob), knob["sites"], knob["server_rate"])


def _dp_descent(knob: Knobs, model: Model) -> Training:
    if not isinstance(model, Logistic):
        raise ConfigError(f"model: got {knob['model']!r}, expected logistic: of others no bound is known")
    return PrivateDescent(
        model,
        knob["rounds"],
        knob["clip"],
        knob["expected_records"],
        knob["epochs"],
        knob["learning_rate"],
        knob["l2"],
        _averaging(knob),
    )


def _dp_gradient(knob: Knobs, model: Model) -> Training:
    if isinstance(model, Cox):
        raise ConfigError("model: a partial likelihood has no gradient of a single record, expected another than cox")
    batch, l2 = knob["expected_batch"], knob["l2"]
    return PrivateGradient(model, knob["rounds"], knob["clip"], batch, l2, _averaging(knob))


def _newton(knob: Knobs, model: Model) -> Training:
    if isinstance(model, Mlp):
        raise ConfigError("model: the loss of a network is not convex, expected cox, linear or logistic")
    return Newton(model, knob["rounds"], knob["l2"], knob["l1"])


def _cox_stratified(knob: Knobs, model: Model) -> Training:
    return Newton(Cox(model.features), knob["rounds"], knob["l2"], knob["l1"])


def _cox_breslow(knob: Knobs, model: Model) -> Training:
    grid_days = even_grid(knob["horizon_days"], knob["bins"])
    return CoxBreslow(Cox(model.features), knob["rounds"], grid_days, knob["l2"], knob["l1"])


def _ridge(knob: Knobs, model: Model) -> Training:
    return Ridge(Linear(model.features), knob["l2"])


def _dp_ridge(knob: Knobs, model: Model) -> Training:
    return Ridge(Linear(model.features), knob["l2"], knob["clip"])


def _personal(knob: Knobs, model: Model) -> Training:
    if not isinstance(model, Logistic | Mlp):
        raise ConfigError(f"model: got {knob['model']!r}, expected one with a head: logistic or mlp")
    return PersonalHead(model, knob["rounds"], _local(knob), knob["head_epochs"])


def _personal_intercept(knob: Knobs, model: Model) -> Training:
    return PersonalIntercept(Logistic(model.features), knob["rounds"], knob["l2"], knob["tau"])


_SECOND: Knobs = {"rounds": 10, "l2": 1e-3, "l1": 0.0}
_KNOBS_AND_MAKER: dict[str, tuple[Knobs, Callable[[Knobs, Model], Training]]] = {
    "cox_breslow": ({**_SECOND, "horizon_days": 3650.0, "bins": 40}, _cox_breslow),
    "cox_stratified": (_SECOND, _cox_stratified),
    "dp_descent": (
        {
            **_MODEL,
            "rounds": 20,
            "clip": 1.0,
            "expected_records": 0.0,
            "epochs": 1,
            "learning_rate": 0.1,
            "l2": 0.0,
            **_AVERAGING,
        },
        _dp_descent,
    ),
    "dp_gradient": (
        {**_MODEL, "rounds": 20, "clip": 1.0, "expected_batch": 0.0, "l2": 0.0, **_AVERAGING},
        _dp_gradient,
    ),
    "dp_ridge": ({"l2": 1e-2, "clip": 1.0}, _dp_ridge),
    "fedadagrad": ({**_TRAINING, **_ADAPTIVE}, _adaptive(Rule.ADAGRAD)),
    "fedadam": ({**_TRAINING, **_ADAPTIVE}, _adaptive(Rule.ADAM)),
    "fedavg": ({**_TRAINING, **_AVERAGING}, _fedavg),
    "fedprox": ({**_TRAINING, **_AVERAGING, "proximal": 0.01}, _fedavg),
    "fedyogi": ({**_TRAINING, **_ADAPTIVE}, _adaptive(Rule.YOGI)),
    "newton": ({"model": "logistic", **_SECOND}, _newton),
    "personal": ({**_TRAINING, "head_epochs": 0}, _personal),
    "personal_intercept": ({"rounds": 10, "l2": 1e-3, "tau": 1.0}, _personal_intercept),
    "ridge": ({"l2": 1e-3}, _ridge),
    "scaffold": (
        {**{name: value for name, value in _TRAINING.items() if name != "momentum"}, "sites": 0, "server_rate": 1.0},
        _scaffold,
    ),
}

ALGORITHMS = tuple(_KNOBS_AND_MAKER)


def knobs(name: str) -> Mapping[str, float | int | str]:
    """What can be set of an algorithm, with the values it has otherwise. Raises ConfigError for an unknown name."""
    if name not in _KNOBS_AND_MAKER:
        raise ConfigError(f"algorithm: got {name!r}, expected one of {', '.join(ALGORITHMS)}")
    return dict(_KNOBS_AND_MAKER[name][0])


def make_algorithm(name: str, dims: int, settings: Mapping[str, float | int | str]) -> Training:
    """The algorithm of that name over `dims` features; ConfigError names the knob that is unknown or out of range."""
    knob: Knobs = {**knobs(name)}
    for key, value in settings.items():
        if key not in knob:
            raise ConfigError(f"{name}: no knob {key!r}; there are: {', '.join(sorted(knob))}")
        knob[key] = _as_kind(f"{name}: {key}", value, type(knob[key]))
    if (rounds := knob.get("rounds", 1)) < 1:
        raise ConfigError(f"{name}: got rounds={rounds}, expected at least 1")
    model = model_from({**_MODEL, **knob, "features": dims})
    return _KNOBS_AND_MAKER[name][1](knob, model)


def _as_kind(place: str, value: float | int | str, kind: type) -> float | int | str:
    if isinstance(value, bool) or not isinstance(value, int | float if kind is float else kind):
        raise ConfigError(f"{place}: got {value!r}, expected a {kind.__name__}")
    return float(value) if kind is float else value
