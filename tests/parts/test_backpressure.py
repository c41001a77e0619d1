"""Refusals that hold for those who have no more time than the refused one had."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sixfold.parts.backpressure import Backpressure

times = st.floats(0, 10)
refusals = st.lists(st.tuples(st.sampled_from("ab"), times, times, st.floats(0, 4)), max_size=30)


@given(refusals, st.sampled_from("ab"), times, st.floats(10, 20))
def test_a_request_waits_exactly_as_long_as_a_refusal_of_one_with_as_much_time_holds(
    given_ones: list[tuple[str, float, float, float]], kind: str, budget_s: float, now_s: float
) -> None:
    held = Backpressure(most_s=5)
    for refused_kind, budget, at_s, retry_s in sorted(given_ones, key=lambda one: one[2]):
        held.refused(refused_kind, budget, at_s, retry_s)
    ends = [at + retry for of, budget, at, retry in given_ones if of == kind and budget >= budget_s]
    assert abs(held.wait_s(kind, budget_s, now_s) - max(0.0, max(ends, default=0.0) - now_s)) < 1e-9


def test_no_refusal_holds_for_ever_and_none_is_kept_without_bound() -> None:
    held = Backpressure(most_s=5)
    held.refused("a", 1, 0, 1e9)
    assert held.wait_s("a", 1, 0) == 5
    for kind in range(1_000):
        for budget in range(100):
            held.refused(str(kind), budget, 1, 1)
    assert held.wait_s("999", 1, 1) == 0, "more kinds than are kept are passed on"
    assert held.wait_s("10", 98, 1) == 1
