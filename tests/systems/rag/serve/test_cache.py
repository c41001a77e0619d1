"""The retrieval cache never answers from another generation than the newest, and stays bounded."""

from hypothesis import given
from hypothesis import strategies as st

from sixfold.systems.rag.serve.cache import GenerationCache

steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, 3), st.integers(0, 5)),
        st.tuples(st.just("get"), st.integers(0, 3), st.integers(0, 5)),
        st.tuples(st.just("move"), st.integers(0, 3), st.just(0)),
    ),
    max_size=60,
)


@given(steps, st.integers(0, 4))
def test_values_are_of_the_generation_asked_for(steps: list[tuple[str, int, int]], most: int) -> None:
    cache: GenerationCache[tuple[int, int]] = GenerationCache(most)
    for step, generation, key in steps:
        if step == "put":
            cache.put(generation, key, (generation, key))
        elif step == "move":
            cache.move_to(generation)
        else:
            assert cache.get(generation, key) in (None, (generation, key))
        assert len(cache) <= most


def test_the_least_recently_used_goes_first_and_forgotten_values_are_counted() -> None:
    cache: GenerationCache[str] = GenerationCache(2)
    cache.move_to(1)
    cache.put(1, "a", "A")
    cache.put(1, "b", "B")
    assert cache.get(1, "a") == "A"
    cache.put(1, "c", "C")
    assert cache.get(1, "b") is None
    assert cache.get(1, "a") == "A"
    assert cache.move_to(2) == 2
    assert cache.get(2, "a") is None
    assert (cache.hits, cache.misses) == (2, 2)
