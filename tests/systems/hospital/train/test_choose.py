"""Choosing: every name runs with its defaults, and what is unknown or out of range is named."""

import numpy as np
import pytest
from training_cohorts import hospitals

from sixfold.errors import ConfigError
from sixfold.systems.hospital.train.algorithm import Total
from sixfold.systems.hospital.train.choose import ALGORITHMS, knobs, make_algorithm
from sixfold.systems.hospital.train.local_work import LOCAL_WORK
from sixfold.systems.hospital.train.models import Cox, Mlp
from sixfold.systems.hospital.train.pooled import run_in_plain

NEEDED: dict[str, dict[str, float | int | str]] = {
    "scaffold": {"sites": 3},
    "dp_descent": {"expected_records": 15.0},
    "dp_gradient": {"expected_batch": 45.0},
    "cox_breslow": {"horizon_days": 200.0, "bins": 5},
}


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_algorithm_runs_and_answers_what_its_order_says(name: str) -> None:
    cohorts = hospitals(3, [20, 0, 25])
    algorithm = make_algorithm(name, 3, NEEDED.get(name, {}))
    state = algorithm.init(0)
    order = algorithm.order(state)
    assert order.work in LOCAL_WORK
    vectors = [LOCAL_WORK[order.work](order, c, {}, np.random.default_rng(0)).vector for c in cohorts]
    assert {v.shape for v in vectors} == {(order.length,)}
    after = algorithm.step(state, Total(np.sum(vectors, axis=0), 3))
    assert after.round == 1
    assert after.arrays.keys() == state.arrays.keys(), "a checkpoint has the same arrays at every round"
    assert not vectors[1].any(), "a hospital without records adds nothing"
    assert order.per_record == name.startswith("dp_"), "only these may be combined with privacy"
    assert all(isinstance(value, float | int | str) for value in order.settings.values())
    final, _ = run_in_plain(algorithm, cohorts, 0)
    assert all(np.isfinite(array).all() for array in final.arrays.values())


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_knob_that_there_is_not_is_named(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"{name}: no knob 'speed'; there are: "):
        make_algorithm(name, 3, {"speed": 1})
    assert "speed" not in knobs(name)


def test_fedprox_without_its_penalty_is_fedavg() -> None:
    assert make_algorithm("fedprox", 3, {"proximal": 0.0}) == make_algorithm("fedavg", 3, {})


def test_settings_reach_the_model_and_whole_numbers_may_stand_for_others() -> None:
    network = make_algorithm("fedavg", 5, {"model": "mlp", "hidden": 7, "learning_rate": 1})
    assert network == make_algorithm("fedavg", 5, {"model": "mlp", "hidden": 7, "learning_rate": 1.0})
    assert network.init(0).arrays["theta"].shape == (Mlp(5, 7).size,)
    survival = make_algorithm("cox_stratified", 5, {})
    assert survival.init(0).arrays["theta"].shape == (Cox(5).size,)


@pytest.mark.parametrize(
    ("name", "settings", "named"),
    [
        ("sgd", {}, "got 'sgd', expected one of cox_breslow"),
        ("fedavg", {"rounds": 0}, "rounds=0"),
        ("fedavg", {"rounds": 2.5}, "rounds: got 2.5, expected a int"),
        ("fedavg", {"rounds": True}, "rounds"),
        ("fedavg", {"model": 3}, "model: got 3"),
        ("fedavg", {"model": "forest"}, "forest"),
        ("fedavg", {"learning_rate": "fast"}, "learning_rate: got 'fast'"),
        ("scaffold", {}, "sites=0"),
        ("scaffold", {"momentum": 0.9}, "no knob 'momentum'"),
        ("dp_descent", {}, "expected_records=0"),
        ("dp_descent", {"model": "linear"}, "expected logistic"),
        ("dp_gradient", {}, "expected_batch=0"),
        ("dp_gradient", {"model": "cox"}, "single record"),
        ("newton", {"model": "mlp"}, "not convex"),
        ("personal", {"model": "cox"}, "logistic or mlp"),
        ("cox_breslow", {"bins": 0}, "bins=0"),
        ("ridge", {"clip": 1.0}, "no knob 'clip'"),
    ],
)
def test_what_is_wrong_is_named(name: str, settings: dict[str, float | int | str], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        make_algorithm(name, 3, settings)
