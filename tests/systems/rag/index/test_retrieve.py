"""Sharded retrieval is that of one single index: ids, order and scores to the last bit."""

from functools import reduce
from operator import add

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sixfold.errors import ConfigError
from sixfold.parts.fusion import minmax, rrf
from sixfold.parts.lexical import Analyzer, LexicalIndex
from sixfold.parts.vectors import pair_scores, recall
from sixfold.systems.rag.index.filters import Filter
from sixfold.systems.rag.index.manifest import Manifest, delete, publish
from sixfold.systems.rag.index.shard import Shard
from sixfold.systems.rag.retrieve import Retriever

WORDS = ["abba", "cab", "deaf", "fig", "gene", "hack", "jade", "kale", "fold", "mend"]
QUESTIONS = ["abba", "cab fig cab", "gene hack jade kale", "nothing known", ""]


@st.composite
def corpora(draw):
    """Documents of few words in shards of segments, some of them deleted."""
    text = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join)
    documents = draw(st.lists(st.lists(text, min_size=1, max_size=3), min_size=1, max_size=14))
    shards = draw(st.integers(1, 5))
    places = [draw(st.tuples(st.integers(0, shards - 1), st.integers(0, 1))) for _ in documents]
    gone = [draw(st.sampled_from(["", "", "", "document", "chunk"])) for _ in documents]
    return documents, shards, places, gone, draw(st.integers(1, 9))


def build(make, folder, documents, shards, places, gone):
    """The index, and the chunks that are live in it."""
    layout = [[[], []] for _ in range(shards)]
    live, dead_documents, dead_chunks = [], [], []
    for at, (texts, (shard, segment), fate) in enumerate(zip(documents, places, gone, strict=True)):
        chunks = make.indexed(f"http://h{at % 2}.test/{at}", texts, ("en", "de")[at % 2])
        layout[shard][segment] += chunks
        if fate == "document":
            dead_documents.append(chunks[0].chunk.doc_id)
        elif fate == "chunk":
            dead_chunks.append(chunks[0].chunk.chunk_id)
            live += chunks[1:]
        else:
            live += chunks
    make.make_index(folder, layout)
    if dead_documents or dead_chunks:
        delete(folder, documents=dead_documents, chunks=dead_chunks)
    return sorted(live, key=lambda at: at.chunk.chunk_id)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(corpora())
def test_any_number_of_shards_gives_the_single_index(make, tmp_path_factory, corpus):
    *parts, k = corpus
    folder = tmp_path_factory.mktemp("index")
    live = build(make, folder, *parts)
    shards = [Shard.open(folder, number) for number in range(parts[1])]
    retriever = Retriever(shards, lambda text: make.embed([text])[0])
    assert sum(shard.chunks for shard in shards) == len(live)

    # The reference never saw a shard, a segment or a tombstone.
    ids = [at.chunk.chunk_id for at in live]
    texts = [at.chunk.text for at in live]
    vectors = make.embed(texts)
    whole = LexicalIndex.build(texts)
    for question in QUESTIONS:
        terms = Analyzer().terms(question)
        assert reduce(add, (shard.statistics(terms) for shard in shards)) == whole.statistics(terms)
        positions, scores = whole.search(terms, whole.statistics(terms), k)
        expected = [(ids[at], float(score)) for at, score in zip(positions, scores, strict=True)]
        assert retriever.lexical_run(question, k) == expected
        for where in (None, Filter(language="de")):
            query = make.embed([question])[0]
            every = pair_scores(query[None], vectors, np.arange(len(ids))[None])[0]
            pairs = [
                (-float(score), key)
                for score, key, at in zip(every, ids, live, strict=True)
                if where is None or at.language == "de"
            ]
            assert retriever.vector_run(question, k, where) == [(key, -score) for score, key in sorted(pairs)[:k]]
    queries = make.embed(QUESTIONS)
    scores, keys = retriever.search_vectors(queries, k)
    for row, found, question in zip(scores, keys, QUESTIONS, strict=True):
        run = [(key.decode(), float(score)) for key, score in zip(found.tolist(), row, strict=True) if key]
        assert run == retriever.vector_run(question, k)


@pytest.fixture
def small(make, tmp_path):
    documents = [["abba cab", "deaf fig"], ["gene gene", "cab"], ["hack abba", "kale"], ["abba"]]
    places = [(0, 0), (1, 0), (1, 1), (0, 1)]
    build(make, tmp_path, documents, 2, places, ["", "", "", "document"])
    return tmp_path


def test_passages_carry_their_source_and_both_scores(make, small):
    retriever = Retriever([Shard.open(small, n) for n in (0, 1)], lambda text: make.embed([text])[0])
    passages = retriever.search("abba", 4)
    assert [p.text for p in passages[:2]] in (["abba cab", "hack abba"], ["hack abba", "abba cab"])
    assert len({p.chunk_id for p in passages}) == len(passages) == 4
    for passage in passages:
        assert passage.vector_score is not None
        assert (passage.lexical_score is not None) == ("abba" in passage.text)
        assert passage.end - passage.start == len(passage.text)
        assert passage.source.file == "in.warc"
        assert passage.title == f"Title of {passage.url}"
        assert passage.shard in (0, 1)
    assert [p.score for p in passages] == sorted((p.score for p in passages), reverse=True)


def test_legs_filters_fusions_and_bounds(make, small):
    shards = [Shard.open(small, n) for n in (0, 1)]
    retriever = Retriever(shards, lambda text: make.embed([text])[0], fusion=rrf)
    assert [p.text for p in retriever.search("gene", legs=("lexical",))] == ["gene gene"]
    assert {p.url for p in retriever.search("abba", where=Filter(host="h1.test"))} == {"http://h1.test/1"}
    assert retriever.search("abba", where=Filter(host="nowhere")) == []
    assert len(retriever.search("abba", k=500)) == 6
    only = retriever.search("abba", legs=("vector",), where=Filter(language="en", url_prefix="http://h0.test/2"))
    assert {p.text for p in only} == {"hack abba", "kale"}
    assert len(Retriever(shards, lambda text: make.embed([text])[0], fusion=minmax).search("abba", 3)) == 3
    with pytest.raises(ConfigError, match="k=0"):
        retriever.search("abba", 0)
    with pytest.raises(ConfigError, match="no shards"):
        Retriever([], lambda text: make.embed([text])[0])


def clusters(n: int, seed: int, d: int) -> np.ndarray:
    rng = np.random.default_rng(7)
    middles = rng.standard_normal((50, d))
    rng = np.random.default_rng(seed)
    points = middles[rng.integers(0, 50, n)] + 0.7 * rng.standard_normal((n, d))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def large(make, tmp_path_factory):
    """Two shards of 3,000 passages each with vectors in clusters; a text is the number of its vector."""
    folder = tmp_path_factory.mktemp("large")
    vectors = clusters(6_000, 1, make.D)
    halves = [[], []]
    for at in range(len(vectors)):
        halves[at % 2] += make.indexed(f"http://x.test/{at}", [str(at)])
    layout = [[half] for half in halves]
    make.make_index(folder, layout, embed=lambda texts: vectors[[int(text) for text in texts]], ann_minimum=1_000)
    return folder, vectors


def test_tuned_retrieval_is_within_a_point_of_exact(make, large):
    folder, _ = large
    retriever = Retriever([Shard.open(folder, n) for n in (0, 1)], lambda text: pytest.fail("not asked for"))
    probes = retriever.tune(clusters(150, 2, make.D), target_recall=0.995)
    assert 1 <= probes < 100
    queries = clusters(300, 3, make.D)
    exact, found = retriever.search_vectors(queries, 10)[1], retriever.search_vectors(queries, 10, probes)[1]
    assert recall(found, exact) >= 0.99
    if probes > 1:
        fewer = retriever.search_vectors(clusters(150, 2, make.D), 10, probes - 1)[1]
        assert recall(fewer, retriever.search_vectors(clusters(150, 2, make.D), 10)[1]) < 0.995


@pytest.mark.ray
def test_ray_actors_answer_as_the_shards_themselves(make, small, large, ray_lab):
    from sixfold.systems.rag.index.actor import start_shards

    local = Retriever([Shard.open(small, n) for n in (0, 1)], lambda text: make.embed([text])[0])
    actors = start_shards(small, cpus=0.5)
    try:
        remote = Retriever(actors, lambda text: make.embed([text])[0])
        for question in QUESTIONS:
            assert remote.search(question, 5) == local.search(question, 5)
        with pytest.raises(ConfigError, match="expected at least 1"):
            remote.search_vectors(make.embed(["a"]), 0)
        assert [actor.begin("facts")()["chunks"] for actor in actors] == [2, 4]
    finally:
        for actor in actors:
            actor.stop()
    with pytest.raises(ConfigError, match="may hold 10"):
        start_shards(small, capacity_bytes=10, cpus=0.5)


@pytest.mark.ray
def test_what_one_node_cannot_hold_its_shards_can(make, tmp_path, ray_lab):
    """Under one cap of memory a node with all the vectors fails, and two with half of them answer."""
    from sixfold.systems.rag.index.actor import start_shards

    d, n = 8_192, 6_000  # 197 MB of vectors
    vectors = np.random.default_rng(0).standard_normal((n, d)).astype(np.float32)
    from sixfold.systems.rag.index.segment import write_segment

    chunks = [c for at in range(n) for c in make.indexed(f"http://x.test/{at}", [str(at)])]
    for name, part in (("left", chunks[: n // 2]), ("right", chunks[n // 2 :])):
        ordered = sorted(part, key=lambda at: at.chunk.chunk_id)
        write_segment(
            tmp_path / "segments" / name,
            ordered,
            lambda texts: vectors[[int(t) for t in texts]],
            dimension=d,
            ann_minimum=n,
        )
    cap = 150_000_000
    publish(tmp_path, Manifest(1, (("left", "right"),)))
    with pytest.raises(MemoryError):
        start_shards(tmp_path, memory_cap_bytes=cap, in_memory=True, cpus=0.5)
    publish(tmp_path, Manifest(2, (("left",), ("right",))))
    actors = start_shards(tmp_path, memory_cap_bytes=cap, in_memory=True, cpus=0.5)
    try:
        retriever = Retriever(actors, lambda text: vectors[int(text)])
        assert [p.text for p in retriever.search("4711", 1, legs=("vector",))] == ["4711"]
        assert [p.text for p in retriever.search("17", 1, legs=("vector",))] == ["17"]
    finally:
        for actor in actors:
            actor.stop()
