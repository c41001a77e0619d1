"""The order in which an answer gets poorer is the stated one, and never longer than the time that is left."""

from hypothesis import given
from hypothesis import strategies as st

from sixfold.systems.rag.serve.degrade import ORDER, Costs, plan

COSTS = Costs(shards_s=0.05, slow_shards_s=0.2, rerank_s=0.1, extract_s=0.05, generation_s=1.0, reading_share=0.5)


def test_with_time_enough_nothing_is_left_out() -> None:
    chosen = plan(10.0, COSTS, rerank=True, generate=True)
    assert chosen.degraded == ()
    assert chosen.rerank
    assert chosen.context_share == 1.0
    assert chosen.shards_s > COSTS.slow_shards_s


def test_less_time_drops_one_more_step_in_the_stated_order() -> None:
    seen: list[tuple[str, ...]] = []
    for hundredths in range(200, 0, -1):
        degraded = plan(hundredths / 100, COSTS, rerank=True, generate=True).degraded
        if not seen or degraded != seen[-1]:
            seen.append(degraded)
    assert seen == [
        (),
        ("rerank",),
        ("rerank", "shards"),
        ("rerank", "shards", "context"),
        ("rerank", "shards", "generation"),
    ]


seconds = st.floats(0.001, 5)


@given(
    st.floats(0.001, 20), st.builds(Costs, seconds, seconds, seconds, seconds, seconds, st.floats(0, 1)), st.booleans(),
    st.booleans(),
)  # fmt: skip
def test_what_is_planned_fits_or_everything_is_left_out(
    remaining_s: float, costs: Costs, rerank: bool, generate: bool
) -> None:
    chosen = plan(remaining_s, costs, rerank=rerank, generate=generate)
    assert list(chosen.degraded) == sorted(chosen.degraded, key=ORDER.index)
    assert chosen.rerank <= rerank
    assert chosen.generate <= generate
    assert 0 < chosen.shards_s <= remaining_s
    generation_s = costs.generation_s * (1 - costs.reading_share * (1 - chosen.context_share)) if chosen.generate else 0
    least = min(costs.shards_s, costs.slow_shards_s) + costs.extract_s
    if chosen.rerank or chosen.generate:
        assert least + chosen.rerank * costs.rerank_s + generation_s <= remaining_s
