"""Promises of a secure sum among parties that keep to the protocol, whoever drops out and when."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from secure_sum_run import STEPS, Run, make_plan, names, plain_sum, session, signing_keys, vectors

from sixfold.errors import ConfigError
from sixfold.parts.fixed_point import FixedPoint
from sixfold.parts.neighbour_graph import Topology
from sixfold.parts.secure_sum import Party, SecureSumPlan, SecureSumRefused
from sixfold.parts.secure_sum_server import SecureSumServer

SPARSE = Topology(degree=6, threshold=3, quorum=7, cut=2)  # of 12


def survivors_of(plan: SecureSumPlan, silent: dict[str, str]) -> tuple[str, ...]:
    """Who still sends a masked vector."""
    return tuple(name for name in plan.parties if STEPS.index(silent.get(name, "confirmation")) > 2)


@given(st.data(), st.sampled_from([32, 64]), st.integers(1, 40), st.integers(0, 2**32))
@settings(max_examples=60)
def test_the_unmasked_sum_is_the_plain_sum_bit_for_bit(
    data: st.DataObject, ring_bits: int, length: int, seed: int
) -> None:
    n = data.draw(st.integers(2, 8), label="parties")
    plan = make_plan(n, ring_bits=ring_bits, length=length)
    lost = data.draw(st.lists(st.sampled_from(plan.parties), max_size=(n - 1) // 2, unique=True), label="lost")
    silent = {name: data.draw(st.sampled_from(STEPS), label=name) for name in lost}
    values, run = vectors(plan, seed), Run(plan, silent)
    total = run.total(values)
    assert run.server.survivors == survivors_of(plan, silent)
    assert total.tolist() == plain_sum(plan, values, run.server.survivors).tolist()


@given(st.data(), st.integers(0, 2**32))
@settings(max_examples=25)
def test_on_a_sparse_graph_too_the_sum_is_exact_or_refused(data: st.DataObject, seed: int) -> None:
    plan = make_plan(12, ring_bits=64, length=5, number=seed, topology=SPARSE)
    silent = data.draw(st.dictionaries(st.sampled_from(plan.parties), st.sampled_from(STEPS), max_size=4))
    values, run = vectors(plan, seed), Run(plan, silent)
    try:
        total = run.total(values)
    except SecureSumRefused:  # it fell apart, or a secret was lost: allowed, and never another sum
        return
    assert total.tolist() == plain_sum(plan, values, survivors_of(plan, silent)).tolist()


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("lost", [1, 2])
def test_parties_may_drop_out_at_every_step(step: str, lost: int) -> None:
    plan = make_plan(5)
    silent = dict.fromkeys(plan.parties[:lost], step)
    values, run = vectors(plan, 3), Run(plan, silent)
    assert run.total(values).tolist() == plain_sum(plan, values, survivors_of(plan, silent)).tolist()


@pytest.mark.parametrize("step", STEPS)
def test_too_few_parties_are_an_error_that_says_how_many(step: str) -> None:
    plan = make_plan(5)
    run = Run(plan, dict.fromkeys(plan.parties[:3], step))
    with pytest.raises(SecureSumRefused, match=r"expected 3.*another session"):
        run.total(vectors(plan, 3))


def test_a_hundred_parties_of_which_thirty_drop_out_are_summed_over_a_sparse_graph() -> None:
    plan = SecureSumPlan.of(session(9), names(100), dropped=30, colluding=5, ring_bits=32, length=64)
    rng = np.random.default_rng(5)
    lost = rng.choice(plan.parties, 30, replace=False)
    silent = {str(name): STEPS[at % 5] for at, name in enumerate(lost)}
    assert plan.topology.degree < 40
    values, run = vectors(plan, 5), Run(plan, silent)
    assert run.total(values).tolist() == plain_sum(plan, values, survivors_of(plan, silent)).tolist()


def test_float_vectors_come_back_as_the_sum_of_their_rounded_values() -> None:
    plan, coder = make_plan(4, ring_bits=32, length=100), FixedPoint(32, 16, 4)
    x_PL = np.random.default_rng(1).normal(size=(4, 100))
    values = {name: coder.encode(x) for name, x in zip(plan.parties, x_PL, strict=True)}
    expected = (np.rint(x_PL * 2**16) / 2**16).sum(axis=0)
    assert coder.decode(Run(plan).total(values)).tolist() == expected.tolist()


def test_a_million_float32_parameters_of_twenty_sites_cost_less_than_1_6_times_their_bytes() -> None:
    """Everything but the vector is counted on small vectors: it does not depend on their length."""
    plan = make_plan(20, length=1)
    run = Run(plan)
    run.total(vectors(plan, 1))
    up = sum(len(data) for sender, _, _, data in run.transcript if sender != "server") / 20 - plan.vector_bytes
    down = sum(len(data) for sender, _, _, data in run.transcript if sender == "server") / 20
    assert 4_000_000 + up + down < 1.01 * 4_000_000


def test_the_total_may_be_asked_for_twice() -> None:
    plan = make_plan(3)
    run = Run(plan)
    first = run.total(vectors(plan, 1)).copy()
    assert run.server.total().tolist() == first.tolist()


def test_every_party_has_as_many_neighbours_as_the_degree_and_is_one_of_theirs() -> None:
    plan = make_plan(12, topology=SPARSE)
    for name in plan.parties:
        assert len(set(plan.neighbours[name])) == 6
        assert name not in plan.neighbours[name]
        assert all(name in plan.neighbours[other] for other in plan.neighbours[name])


def test_plans_differ_in_their_digest_when_anything_differs() -> None:
    plans = [
        make_plan(12, topology=SPARSE),
        make_plan(12, number=2, topology=SPARSE),
        make_plan(12, ring_bits=64, topology=SPARSE),
        make_plan(12, length=9, topology=SPARSE),
        make_plan(13, topology=SPARSE),
        make_plan(12, topology=Topology(6, 3, 8, 2)),
        make_plan(12, topology=Topology(6, 4, 7, 2)),
        make_plan(12, topology=Topology(6, 3, 7, 1)),
    ]
    assert len({plan.digest for plan in plans}) == len(plans)


@pytest.mark.parametrize(
    "wrong",
    [
        {"session": bytes(31)},
        {"parties": ("b", "a", "c")},
        {"parties": ("a", "a", "b")},
        {"parties": ("a",)},
        {"parties": ("", "a", "b")},
        {"ring_bits": 16},
        {"length": 0},
        {"topology": Topology(1, 2, 2)},
        {"topology": Topology(2, 1, 2)},
        {"topology": Topology(2, 4, 2)},
        {"topology": Topology(2, 2, 1)},
        {"topology": Topology(2, 2, 4)},
    ],
)
def test_plans_that_protect_nothing_are_refused(wrong: dict[str, object]) -> None:
    right = {"session": bytes(32), "parties": ("a", "b", "c"), "ring_bits": 32, "length": 1}
    SecureSumPlan(**right, topology=Topology(2, 2, 2))  # type: ignore[arg-type]
    with pytest.raises(ConfigError):
        SecureSumPlan(**{**right, "topology": Topology(2, 2, 2), **wrong})  # type: ignore[arg-type]


def test_a_party_needs_everybodys_key_and_its_own() -> None:
    plan = make_plan(3)
    keys = signing_keys(plan.parties)
    roster = {name: key.public_key() for name, key in keys.items()}
    first, second, third = plan.parties
    with pytest.raises(ConfigError, match=third):
        Party(first, plan, keys[first], {first: roster[first], second: roster[second]})
    with pytest.raises(ConfigError, match="key is not that of the roster"):
        Party(first, plan, keys[second], roster)
    with pytest.raises(ConfigError, match="stranger"):
        Party("stranger", plan, keys[first], {**roster, "stranger": roster[first]})
    with pytest.raises(ConfigError, match=third):
        SecureSumServer(plan, {first: roster[first], second: roster[second]})


@pytest.mark.parametrize("dtype", ["<i4", "<u8", ">u4", "<f4"])
def test_vectors_of_another_type_or_length_are_refused(dtype: str) -> None:
    plan = make_plan(3)
    run = Run(plan)
    sent = run.shares(run.adverts())
    party = run.parties[plan.parties[0]]
    with pytest.raises(SecureSumRefused, match="vector"):
        party.mask(np.zeros(plan.length, dtype=dtype), sent[party.me])
    with pytest.raises(SecureSumRefused, match="vector"):
        party.mask(np.zeros(plan.length + 1, dtype="<u4"), sent[party.me])
