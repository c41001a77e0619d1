"""The inverted file proposes the right candidates, and only allowed ones."""

import numpy as np
import pytest

from sixfold.parts.ivf import Ivf


@pytest.fixture(scope="module")
def case():
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((500, 24)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors, Ivf.build(vectors), vectors[:7] + np.float32(0.01)


def test_all_lists_propose_the_best(case):
    vectors, ivf, queries = case
    found = ivf.candidates(queries, 20, 10_000, None)
    exact = np.argsort(-(queries @ vectors.T), axis=1)[:, :10]
    for candidates, best in zip(found, exact, strict=True):
        assert set(best.tolist()) <= set(candidates.tolist())


def test_few_lists_propose_what_they_have_and_the_mask_rules(case):
    vectors, ivf, queries = case
    assert ivf.lists == 89
    found = ivf.candidates(queries, 400, 2, None)
    assert (found == -1).any()
    assert all(at in row for at, row in enumerate(found))  # a vector lies in the list nearest to it
    mask = np.arange(len(vectors)) % 3 == 1
    allowed = ivf.candidates(queries, 30, 40, mask)
    assert mask[allowed[allowed >= 0]].all()
    assert (allowed >= 0).sum() > 7 * 20


def test_saved_and_loaded_it_proposes_the_same(case, tmp_path):
    _, ivf, queries = case
    ivf.save(tmp_path / "ivf.faiss")
    again = Ivf.load(tmp_path / "ivf.faiss", 500, 24, 89)
    assert np.array_equal(again.candidates(queries, 10, 5, None), ivf.candidates(queries, 10, 5, None))
    with pytest.raises(ValueError, match="do not fit together"):
        Ivf.load(tmp_path / "ivf.faiss", 500, 24, 88)
