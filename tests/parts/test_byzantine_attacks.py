"""Attacks: equal to byzfl's, and as hidden or as loud as they are meant to be."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from sixfold.errors import ConfigError, InputError
from sixfold.parts.byzantine_attacks import (
    a_little_is_enough,
    hiding_deviation,
    inner_product_manipulation,
    label_flip,
    sign_flip,
)


@pytest.fixture(scope="module")
def byzfl() -> Iterator[Any]:
    """byzfl.attacks, without the parts of byzfl that need torchvision."""
    spec = importlib.util.find_spec("byzfl")
    if spec is None or spec.submodule_search_locations is None:
        pytest.skip("byzfl is not installed")
    bare = ModuleType("byzfl")
    bare.__path__ = list(spec.submodule_search_locations)
    sys.modules["byzfl"] = bare
    yield importlib.import_module("byzfl.attacks")
    for name in [name for name in sys.modules if name.split(".")[0] == "byzfl"]:
        del sys.modules[name]


@pytest.mark.parametrize("seed", range(10))
def test_the_attacks_are_those_of_byzfl(byzfl: Any, seed: int) -> None:
    honest = np.random.default_rng(seed).normal(0.5, 2.0, (5 + seed, 3))
    np.testing.assert_allclose(sign_flip(honest), byzfl.SignFlipping()(honest))
    np.testing.assert_allclose(inner_product_manipulation(honest, 0.5), byzfl.InnerProductManipulation(0.5)(honest))
    np.testing.assert_allclose(a_little_is_enough(honest, -1.5), byzfl.ALittleIsEnough(-1.5)(honest))


def test_a_strong_manipulation_turns_the_mean_and_a_weak_one_only_shortens_it() -> None:
    honest = np.random.default_rng(1).normal(1.0, 0.1, (6, 4))
    mean = honest.mean(axis=0)
    for strength, turned in ((2.9, False), (3.1, True)):  # two of eight turn a mean from 6 / 2 on
        lies = np.tile(inner_product_manipulation(honest, strength), (2, 1))
        assert (np.concatenate([honest, lies]).mean(axis=0) @ mean < 0) is np.bool_(turned)


@pytest.mark.parametrize(("sites", "byzantine", "deviation"), [(50, 24, 1.43), (10, 4, 0.43), (20, 1, -0.07)])
def test_the_hiding_deviation(sites: int, byzantine: int, deviation: float) -> None:
    assert hiding_deviation(sites, byzantine) == pytest.approx(deviation, abs=0.01)


def test_a_hidden_vector_is_no_further_out_than_some_honest_ones() -> None:
    honest = np.random.default_rng(2).normal(0.0, 1.0, (26, 2_000))
    lie = a_little_is_enough(honest, hiding_deviation(50, 24))
    further = (honest > lie).sum(axis=0)
    assert 1.5 < further.mean() < 2.6, "two honest sites are expected beyond it"
    length = np.linalg.norm(honest - honest.mean(axis=0), axis=1)
    assert np.linalg.norm(lie - honest.mean(axis=0)) < 1.6 * length.min()


def test_flipping_labels_twice_gives_them_back() -> None:
    y = np.array([0.0, 1.0, 1.0])
    assert label_flip(y).tolist() == [1.0, 0.0, 0.0]
    assert label_flip(label_flip(y)).tolist() == y.tolist()


def test_what_an_attack_cannot_use_is_named() -> None:
    with pytest.raises(InputError, match="0 or 1"):
        label_flip(np.array([0.5]))
    with pytest.raises(InputError, match="honest sites"):
        sign_flip(np.zeros((0, 3)))
    with pytest.raises(InputError, match="at least 2"):
        a_little_is_enough(np.zeros((1, 3)), 1.0)
    with pytest.raises(ConfigError, match="above 0"):
        inner_product_manipulation(np.zeros((2, 3)), 0.0)
    for byzantine in (0, 5):
        with pytest.raises(ConfigError, match="fewer than half"):
            hiding_deviation(10, byzantine)
