"""The exact scan is the same for every division of the vectors; the IVF is nearly as good, and tuned."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sixfold.errors import ConfigError, InputError
from sixfold.parts import vectors as module
from sixfold.parts.vectors import VectorIndex, fewest_probes, pair_scores, recall, tune


def clustered(n: int, d: int = 32, centres: int = 60, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    middle = rng.standard_normal((centres, d))
    points = middle[rng.integers(0, centres, n)] + 0.6 * rng.standard_normal((n, d))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


def brute(vectors, queries, k, mask=None):
    """Every pair scored on its own, sorted by (-score, position)."""
    rows = []
    for query in queries:
        scores = [
            (-float(pair_scores(query[None], vectors, np.array([[at]]))[0, 0]), at)
            for at in range(len(vectors))
            if mask is None or mask[at]
        ]
        rows.append(sorted(scores)[:k])
    return rows


def listed(scores, positions):
    return [
        [(-float(s), int(p)) for s, p in zip(srow, prow, strict=True) if p >= 0]
        for srow, prow in zip(scores, positions, strict=True)
    ]


@st.composite
def collections(draw):
    """Vectors with many near and exact ties: few distinct ones, some of them one last bit apart."""
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    d = draw(st.sampled_from([1, 3, 16, 37, 384]))
    base = rng.standard_normal((draw(st.integers(1, 6)), d)).astype(np.float32)
    vectors = base[rng.integers(0, len(base), draw(st.integers(1, 60)))]
    nudge = rng.random(vectors.shape) < 0.1
    vectors = np.where(nudge, np.nextafter(vectors, np.float32(9)), vectors)
    mask = rng.random(len(vectors)) < draw(st.sampled_from([0.2, 0.8, 1.0]))
    return vectors, np.concatenate([base, -base])[:4], mask, draw(st.integers(1, 12)), draw(st.integers(1, 5))


@settings(max_examples=60, deadline=None)
@given(collections(), st.sampled_from([2, 7, 16_384]))
def test_any_division_gives_the_scores_and_the_order_of_brute_force(case, block_rows):
    vectors, queries, mask, k, parts = case
    module.BLOCK_ROWS, before = block_rows, module.BLOCK_ROWS
    try:
        whole = listed(*VectorIndex.build(vectors).search(queries, k, mask=mask))
        merged = [[] for _ in queries]
        for part in np.array_split(np.arange(len(vectors)), parts):
            if len(part):
                index = VectorIndex.build(vectors[part])
                for row, found in zip(merged, listed(*index.search(queries, k, mask=mask[part])), strict=True):
                    row += [(score, int(part[at])) for score, at in found]
    finally:
        module.BLOCK_ROWS = before
    assert whole == brute(vectors, queries, k, mask)
    assert [sorted(row)[:k] for row in merged] == whole
    alone = [listed(*VectorIndex.build(vectors).search(q[None], k, mask=mask))[0] for q in queries]
    assert alone == whole


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 400), st.integers(0, 2**31))
def test_a_pair_score_is_the_inner_product(d, seed):
    rng = np.random.default_rng(seed)
    query, vectors = rng.standard_normal(d).astype(np.float32), rng.standard_normal((5, d)).astype(np.float32)
    exact = vectors.astype(np.float64) @ query.astype(np.float64)
    assert np.allclose(pair_scores(query[None], vectors, np.arange(5)[None])[0], exact, rtol=1e-6, atol=1e-6)


def test_large_scores_keep_their_candidates():
    rng = np.random.default_rng(5)
    vectors = (rng.standard_normal((3_000, 384)) * 1e4).astype(np.float32)
    queries = (rng.standard_normal((3, 384)) * 1e4).astype(np.float32)
    scores, positions = VectorIndex.build(vectors).search(queries, 10)
    for query, row, at in zip(queries, scores, positions, strict=True):
        every = pair_scores(query[None], vectors, np.arange(len(vectors))[None])[0]
        best = np.lexsort((np.arange(len(vectors)), -every))[:10]
        assert np.array_equal(at, best)
        assert np.array_equal(row, every[best])


@pytest.fixture(scope="module")
def approximate():
    vectors = clustered(6_000)
    return vectors, VectorIndex.build(vectors)


def test_tuned_probes_keep_their_recall_on_other_queries(approximate):
    _, index = approximate
    assert index.lists == 310
    probes = tune(index, clustered(200, seed=1), 10, 0.995)
    assert 1 < probes < index.lists / 2
    assert (
        recall(
            index.search(clustered(200, seed=1), 10, probes - 1)[1],
            index.search(clustered(200, seed=1), 10)[1],
        )
        < 0.995
    )
    queries = clustered(300, seed=2)
    found, exact = index.search(queries, 10, probes)[1], index.search(queries, 10)[1]
    assert recall(found, exact) >= 0.99
    assert np.array_equal(index.search(queries, 10, index.lists)[1], exact)


def test_a_filter_never_starves_the_ivf(approximate):
    vectors, index = approximate
    queries = clustered(20, seed=3)
    for share in (0.0005, 0.02, 0.5):
        mask = np.random.default_rng(4).random(len(vectors)) < share
        scores, positions = index.search(queries, 10, probes=2, mask=mask)
        expected = min(10, int(mask.sum()))
        assert ((positions >= 0).sum(axis=1) == expected).all()
        assert mask[positions[positions >= 0]].all()
        assert np.isneginf(scores[positions < 0]).all()


def test_the_same_vectors_give_the_same_bytes_and_the_same_index_back(approximate, tmp_path):
    vectors, index = approximate
    index.save(tmp_path / "a")
    VectorIndex.build(vectors).save(tmp_path / "b")
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == ["ivf.faiss", "vectors.json", "vectors.npy"]
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in names)
    queries = clustered(10, seed=6)
    for in_memory in (False, True):
        again = VectorIndex.load(tmp_path / "a", in_memory=in_memory)
        for probes in (None, 3):
            for ours, theirs in zip(index.search(queries, 5, probes), again.search(queries, 5, probes), strict=True):
                assert np.array_equal(ours, theirs)


def test_an_empty_index_finds_nothing(tmp_path):
    VectorIndex.build(np.empty((0, 4), dtype=np.float32)).save(tmp_path)
    scores, positions = VectorIndex.load(tmp_path).search(np.ones((2, 4), dtype=np.float32), 3)
    assert np.isneginf(scores).all()
    assert (positions == -1).all()


def test_what_does_not_fit_is_named(tmp_path):
    index = VectorIndex.build(clustered(50))
    one = np.ones((1, 32), dtype=np.float32)
    for call, message in [
        (lambda: index.search(np.ones((1, 3), dtype=np.float32), 1), r"expected \[q, 32\]"),
        (lambda: index.search(one * np.nan, 1), "not finite"),
        (lambda: index.search(one, 0), "k=0"),
        (lambda: index.search(one, 1, probes=0), "probes=0"),
        (lambda: index.search(one, 1, mask=np.ones(3, dtype=np.bool_)), r"expected \[50\]"),
        (lambda: VectorIndex.build(one * np.inf), "not finite"),
        (lambda: VectorIndex.build(np.ones(3, dtype=np.float32)), "expected float32 of shape"),
        (lambda: tune(index, one, 1, 1.5), "target_recall=1.5"),
    ]:
        with pytest.raises(ConfigError, match=message):
            call()
    with pytest.raises(InputError, match="build it again"):
        VectorIndex.load(tmp_path)
    index.save(tmp_path)
    data = (tmp_path / "vectors.npy").read_bytes()
    (tmp_path / "vectors.npy").write_bytes(data[:-100])
    with pytest.raises(InputError, match="build it again"):
        VectorIndex.load(tmp_path)


def test_a_damaged_ivf_is_named(approximate, tmp_path):
    approximate[1].save(tmp_path)
    data = (tmp_path / "ivf.faiss").read_bytes()
    (tmp_path / "ivf.faiss").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match="build it again"):
        VectorIndex.load(tmp_path)


@given(st.integers(1, 3_000), st.integers(1, 4_096))
@settings(max_examples=200, deadline=None)
def test_the_fewest_probes_are_found_with_few_attempts(needed, most):
    attempts = []

    def recall_at(probes):
        attempts.append(probes)
        return 1.0 if probes >= needed else 0.5

    found = fewest_probes(recall_at, 0.99, most)
    smallest = min(needed, most)
    assert smallest <= found <= min(most, smallest + max(1, smallest // 16))
    assert len(attempts) <= 2 * 12
