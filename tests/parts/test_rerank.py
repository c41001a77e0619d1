"""Late interaction: nothing beats having all that is asked; order and doubles do not matter, nor does scale."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.errors import ConfigError
from sixfold.parts.rerank import LateInteraction, blend, late_interaction

TABLE = np.random.default_rng(0).normal(size=(30, 8)).astype(np.float32)
TABLE /= np.linalg.norm(TABLE, axis=1, keepdims=True)
ids = st.lists(st.integers(0, 29), max_size=8)


def tokens(numbers):
    """Tokens whose vectors are fixed: a text means the sum of its tokens."""
    return list(numbers), TABLE[list(numbers)]


class Encoder:
    """Words as numbers, for texts such as `3 7 7`."""

    def embed_tokens(self, texts):
        return [tokens([int(word) for word in text.split()]) for text in texts]


@given(ids, st.lists(ids, max_size=6))
def test_scores_are_bounded_and_see_neither_order_nor_doubles(asked, passages):
    scores = late_interaction(tokens(asked), [tokens(passage) for passage in passages])
    assert len(scores) == len(passages)
    assert all(-1.00001 <= score <= 1.00001 for score in scores)
    turned = late_interaction(tokens(asked), [tokens([*passage[::-1], *passage]) for passage in passages])
    assert turned == pytest.approx(scores, abs=1e-5)


@given(st.lists(st.integers(0, 29), min_size=1, max_size=5, unique=True), st.lists(ids, min_size=1, max_size=5))
def test_nothing_beats_a_passage_with_all_that_is_asked(asked, passages):
    whole, *others = late_interaction(tokens(asked), [tokens([*passages[0], *asked]), *map(tokens, passages)])
    assert whole == pytest.approx(1.0, abs=1e-5)
    assert max(others) <= whole + 1e-5


def test_what_every_passage_has_decides_little():
    everywhere, rare = 1, 2
    passages = [tokens([everywhere, n]) for n in range(3, 12)] + [tokens([everywhere, rare])]
    scores = late_interaction(tokens([everywhere, rare]), passages)
    assert int(np.argmax(scores)) == len(passages) - 1
    assert max(scores[:-1]) < 0.9


def test_texts_go_through_the_encoder():
    reranker = LateInteraction(Encoder())
    scores = reranker.scores("2 5", ["7 8", "5 2", ""])
    assert scores[1] == pytest.approx(1.0, abs=1e-5)
    assert scores[2] == -1.0
    assert reranker.scores("2", []) == []
    assert reranker.scores("", ["1", "2"]) == [0.0, 0.0]


numbers = st.floats(-100, 100)


@given(st.lists(st.tuples(numbers, numbers), max_size=8), st.floats(0.1, 10), numbers)
def test_a_blend_does_not_depend_on_scales(pairs, scale, shift):
    first, second = [one for one, _ in pairs], [two for _, two in pairs]
    moved = [scale * score + shift for score in first]
    if first and np.std(first) > 1e-3:
        assert blend(moved, second) == pytest.approx(blend(first, second), abs=1e-6)
    assert blend(first, second, 0.0) == blend(first, [0.0] * len(first))


def test_a_blend_of_equals_is_the_others_order():
    assert np.argsort(blend([5.0, 5.0, 5.0], [3.0, 1.0, 2.0])).tolist() == [1, 2, 0]
    assert blend([], []) == []


@pytest.mark.parametrize("wrong", [([1.0], [], 1.0), ([1.0], [1.0], -1.0), ([1.0], [1.0], float("inf"))])
def test_bad_arguments(wrong):
    with pytest.raises(ConfigError):
        blend(*wrong)
