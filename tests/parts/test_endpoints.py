"""Vectors and scores from elsewhere are checked before they are believed, and come back in the order asked."""

import asyncio
import json
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from wild_server import WildServer, always, plain

from sixfold.errors import ConfigError
from sixfold.parts.endpoints import EndpointEmbedder, EndpointReranker
from sixfold.parts.model_errors import ModelAnswerError, ModelTimeoutError, ModelUnavailableError
from sixfold.parts.retry import RetryPolicy

QUICK = RetryPolicy(attempts=2, first_s=0.001, most_s=0.01)


def vector_of(text):
    """Three numbers that tell texts apart."""
    return [float(len(text)), float(sum(map(ord, text)) % 97), 1.0]


async def embeds(asked, writer):
    rows = [{"index": at, "embedding": vector_of(text)} for at, text in enumerate(asked.json["input"])]
    writer.write(plain(json.dumps({"data": rows[::-1]}).encode()))  # some do not keep the order


@pytest.fixture(scope="module")
def server():
    with WildServer(embeds) as running:
        yield running


@given(st.lists(st.text(st.characters(codec="ascii"), max_size=20), max_size=12), st.integers(1, 5))
def test_each_text_has_its_vector_whatever_the_batches(server, texts, batch_texts):
    with EndpointEmbedder(server.base_url, model="m", dimension=3, batch_texts=batch_texts) as embedder:
        vectors = embedder.embed(texts)
        assert vectors.shape == (len(texts), 3)
        assert vectors.dtype == np.float32
        for text, vector in zip(texts, vectors, strict=True):
            expected = np.array(vector_of(text))
            assert np.allclose(vector, expected / np.linalg.norm(expected), atol=1e-6)
            assert np.array_equal(embedder.embed_query(text), vector)
    assert all(len(asked.json["input"]) <= 5 for asked in server.asked)
    server.asked.clear()


def test_prefixes_are_the_models_and_part_of_its_name(server):
    server.asked.clear()
    with EndpointEmbedder(server.base_url, model="e5", text_prefix="passage: ", query_prefix="query: ") as embedder:
        embedder.embed(["a"])
        embedder.embed_query("b")
        assert embedder.dimension == 3
        plain_id = EndpointEmbedder(server.base_url, model="e5").model_id
        assert embedder.model_id != plain_id
        assert "127.0.0.1" not in plain_id
    assert [asked.json["input"] for asked in server.asked] == [["passage: a"], ["query: b"]]
    assert server.asked[0].line == "POST /v1/embeddings HTTP/1.1"


def test_it_serves_event_loops_and_threads_at_once(server):
    with EndpointEmbedder(server.base_url) as embedder:

        async def many():
            return await asyncio.gather(*(embedder.embed_query_async("x" * n) for n in range(8)))

        results = []
        threads = [threading.Thread(target=lambda n=n: results.append(embedder.embed(["y" * n]))) for n in range(4)]
        for thread in threads:
            thread.start()
        vectors = asyncio.run(many())
        for thread in threads:
            thread.join()
        assert len({vector.tobytes() for vector in vectors}) == 8
        assert len(results) == 4
        assert asyncio.run(embedder.embed_async([], 1.0)).shape == (0, 3)


def test_another_dimension_than_the_indexs_is_a_mistake_of_configuration(server):
    with (
        EndpointEmbedder(server.base_url, model="m", dimension=384) as embedder,
        pytest.raises(ConfigError, match="m gives vectors of 3 numbers, expected 384"),
    ):
        embedder.embed(["a"])


def rows(*vectors, **more):
    return {"data": [{"index": at, "embedding": vector, **more} for at, vector in enumerate(vectors)]}


BAD_EMBEDDINGS = {
    "too few": rows([1, 2]),
    "too many": rows([1, 2], [1, 2], [1, 2]),
    "the same index twice": {"data": [{"index": 0, "embedding": [1]}] * 2},
    "an index out of range": {"data": [{"index": 0, "embedding": [1]}, {"index": 7, "embedding": [1]}]},
    "ragged": rows([1, 2], [1]),
    "empty": rows([], []),
    "words": rows(["a"], ["b"]),
    "base64": rows("AACAPw==", "AACAPw=="),
    "nested": rows([[1]], [[2]]),
    "null": rows([1, None], [1, 2]),
    "nothing": {},
    "no list": {"data": {"index": 0}},
    "zero": rows([0, 0], [1, 2]),
    "too large": rows([1e300, 1e300], [1, 2]),
    "enormous integer": rows([10**400, 1], [1, 2]),
}


@pytest.mark.parametrize("what", BAD_EMBEDDINGS)
def test_bad_embeddings_are_refused(what):
    with (
        WildServer(always(plain(json.dumps(BAD_EMBEDDINGS[what]).encode()))) as wild,
        EndpointEmbedder(wild.base_url) as embedder,
        pytest.raises(ModelAnswerError),
    ):
        embedder.embed(["a", "b"])


def test_not_finite():
    with (
        WildServer(always(plain(b'{"data": [{"index": 0, "embedding": [NaN, 1]}]}'))) as wild,
        EndpointEmbedder(wild.base_url) as embedder,
        pytest.raises(ModelAnswerError, match="direction"),
    ):
        embedder.embed(["a"])


def test_a_slow_endpoint_and_none():
    with WildServer(lambda *_: asyncio.sleep(60)) as wild:
        with EndpointEmbedder(wild.base_url, deadline_s=0.1) as embedder, pytest.raises(ModelTimeoutError):
            embedder.embed_query("a")
        base_url = wild.base_url
    with EndpointEmbedder(base_url, retry=QUICK) as embedder, pytest.raises(ModelUnavailableError):
        embedder.embed(["a"])


def test_the_key_is_sent_and_never_shown(server):
    server.asked.clear()
    with EndpointEmbedder(server.base_url, "sk-secret") as embedder:
        embedder.embed_query("a")
        assert "sk-secret" not in repr(embedder)
    assert "sk-secret" not in repr(EndpointReranker(server.base_url, "sk-secret"))
    assert server.asked[0].headers["authorization"] == "Bearer sk-secret"


@pytest.mark.parametrize("wrong", [{"batch_texts": 0}, {"deadline_s": 0}, {"dimension": 0}])
def test_bad_arguments(wrong):
    with pytest.raises(ConfigError):
        EndpointEmbedder("http://127.0.0.1:9/v1", **wrong)


def rerank(answer, texts=("a", "bbb", "cc"), **options):
    """Scores of texts by an endpoint that answers so, and what it was asked."""

    async def run(base_url):
        async with EndpointReranker(base_url, model="r", retry=QUICK) as reranker:
            return await reranker.scores("why", list(texts), **options)

    with WildServer(answer) as wild:
        return asyncio.run(run(wild.base_url)), [asked.json for asked in wild.asked]


async def by_length(asked, writer):
    scored = [{"index": at, "relevance_score": len(text)} for at, text in enumerate(asked.json["documents"])]
    scored.sort(key=lambda item: -item["relevance_score"])  # best first, as they all do
    writer.write(plain(json.dumps({"results": scored}).encode()))


def test_scores_come_back_in_the_order_of_the_texts():
    scores, asked = rerank(by_length)
    assert scores == [1.0, 3.0, 2.0]
    assert asked == [{"model": "r", "query": "why", "documents": ["a", "bbb", "cc"], "top_n": 3}]
    assert rerank(by_length, texts=()) == ([], [])


@pytest.mark.parametrize(
    "results",
    [
        [],
        None,
        [{"index": 0, "relevance_score": 1}] * 3,
        [{"index": at, "relevance_score": "high"} for at in range(3)],
        [{"index": at, "relevance_score": None} for at in range(3)],
        [{"index": at, "score": 1} for at in range(3)],
        [{"index": at, "relevance_score": 1} for at in range(4)],
        [{"index": at, "relevance_score": float("nan")} for at in range(3)],
        ["a", "b", "c"],
    ],
)
def test_bad_scores_are_refused(results):
    with pytest.raises(ModelAnswerError):
        rerank(always(plain(json.dumps({"results": results}).encode())))


def test_a_slow_reranker():
    with pytest.raises(ModelTimeoutError):
        rerank(lambda *_: asyncio.sleep(60), deadline_s=0.1)
