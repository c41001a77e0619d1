"""What is embedded once is found again, by every process, whatever was killed in between."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sixfold.errors import ConfigError
from sixfold.parts import embedding_cache
from sixfold.parts.embedding_cache import EmbeddingCache, forget

D = 8


def vector(text: str) -> np.ndarray:
    return np.random.default_rng(sum(map(ord, text)) + 1000 * len(text)).standard_normal(D).astype(np.float32)


def vectors(texts) -> np.ndarray:
    return np.array([vector(text) for text in texts], dtype=np.float32).reshape(-1, D)


def test_a_second_run_embeds_nothing(tmp_path):
    asked: list[str] = []

    def embed(texts):
        asked.extend(texts)
        return vectors(texts)

    texts = ["a", "b", "a", "é", "\ud800", ""]
    for _ in range(2):
        with EmbeddingCache(tmp_path, "model", dimension=D) as cache:
            assert np.array_equal(cache.embed(texts, embed), vectors(texts)[[0, 1, 0, 3, 4, 5]])
    assert asked == ["a", "b", "é", "\ud800", ""]
    with EmbeddingCache(tmp_path, "other model", dimension=D) as cache:
        assert not cache.get(texts)[1].any()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.text(max_size=3), max_size=6), max_size=6), st.integers(1, 4))
def test_every_text_is_found_by_every_process(tmp_path_factory, batches, merge_at):
    folder = tmp_path_factory.mktemp("cache")
    embedding_cache._MERGE_AT, before = merge_at, embedding_cache._MERGE_AT
    try:
        with EmbeddingCache(folder, "m", writer="one", dimension=D) as one:
            with EmbeddingCache(folder, "m", writer="two", dimension=D) as two:
                for at, batch in enumerate(batches):
                    (one, two)[at % 2].put(batch, vectors(batch))
                everything = [text for batch in batches for text in batch]
                for cache in (one, two):
                    cache.refresh()
                    got, found = cache.get(everything)
                    assert found.all()
                    assert np.array_equal(got, vectors(everything))
            with EmbeddingCache(folder, "m", writer="three", dimension=D) as three:
                assert three.get(everything)[1].all()
                assert len(three) == len(set(everything))
    finally:
        embedding_cache._MERGE_AT = before


@pytest.mark.parametrize("cut_bytes", [1, 19, 20, 21, 33])
@pytest.mark.parametrize("suffix", ["keys", "vectors"])
def test_a_torn_tail_is_ignored_and_written_again(tmp_path, suffix, cut_bytes):
    texts = [f"text {i}" for i in range(4)]
    with EmbeddingCache(tmp_path, "m", dimension=D) as cache:
        cache.put(texts, vectors(texts))
    path = tmp_path / f"main.{D}.{suffix}"
    os.truncate(path, path.stat().st_size - cut_bytes)
    with EmbeddingCache(tmp_path, "m", dimension=D) as cache:
        got, found = cache.get(texts)
        assert 2 <= found.sum() < 4
        assert np.array_equal(got[found], vectors(texts)[found])
        cache.put(texts, vectors(texts))
    with EmbeddingCache(tmp_path, "m", writer="reader", dimension=D) as cache:
        assert np.array_equal(cache.embed(texts, pytest.fail), vectors(texts))


def test_a_damaged_row_is_embedded_again(tmp_path):
    with EmbeddingCache(tmp_path, "m", dimension=D) as cache:
        cache.put(["a", "b"], vectors(["a", "b"]))
    path = tmp_path / f"main.{D}.vectors"
    path.write_bytes(b"\xff" + path.read_bytes()[1:])
    with EmbeddingCache(tmp_path, "m", dimension=D) as cache:
        assert cache.get(["a", "b"])[1].tolist() == [False, True]
        cache.embed(["a", "b"], vectors)
    with EmbeddingCache(tmp_path, "m", dimension=D) as cache:
        assert np.array_equal(cache.embed(["a", "b"], pytest.fail), vectors(["a", "b"]))


def test_two_processes_do_not_share_a_name(tmp_path):
    with (
        EmbeddingCache(tmp_path, "m", dimension=D),
        pytest.raises(ConfigError, match="give each its own name"),
    ):
        EmbeddingCache(tmp_path, "m", dimension=D)
    EmbeddingCache(tmp_path, "m", dimension=D).close()
    with pytest.raises(ConfigError, match="expected 1 to 64"):
        EmbeddingCache(tmp_path, "m", writer="../up")


def test_a_full_disk_tears_nothing(tmp_path, monkeypatch):
    with EmbeddingCache(tmp_path, "m", dimension=D) as cache:
        cache.put(["a"], vectors(["a"]))
        with pytest.raises(ConfigError, match="shape"):
            cache.put(["b"], vectors(["b", "c"]))

        class Full:
            def __init__(self, file):
                self.file = file

            def write(self, data):
                self.file.write(bytes(data)[:7])
                raise OSError(28, "No space left on device")

            def __getattr__(self, name):
                return getattr(self.file, name)

        monkeypatch.setattr(cache, "_vectors", Full(cache._vectors))
        with pytest.raises(OSError, match="No space"):
            cache.put(["b"], vectors(["b"]))
        monkeypatch.undo()
        cache.put(["c"], vectors(["c"]))
        assert cache.get(["a", "b", "c"])[1].tolist() == [True, False, True]


def test_a_killed_writer_loses_only_its_tail(tmp_path):
    code = (
        "import sys, numpy as np\n"
        "from sixfold.parts.embedding_cache import EmbeddingCache\n"
        f"cache = EmbeddingCache(sys.argv[1], 'm', dimension={D})\n"
        "i = 0\n"
        "while True:\n"
        f"    cache.put([str(i)], np.full((1, {D}), i, dtype=np.float32)); i += 1\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])
    keys: Path = tmp_path / f"main.{D}.keys"
    deadline = time.monotonic() + 30
    while not (keys.exists() and keys.stat().st_size > 2_000) and time.monotonic() < deadline:
        time.sleep(0.01)
    writer.kill()
    writer.wait()
    with EmbeddingCache(tmp_path, "m", dimension=D) as cache:
        count = len(cache)
        assert count >= 100
        got, found = cache.get([str(i) for i in range(count)])
        assert found.all()
        assert np.array_equal(got[:, 0], np.arange(count, dtype=np.float32))


def test_a_forgotten_vector_is_gone_for_caches_that_are_open_too(tmp_path):
    with (
        EmbeddingCache(tmp_path, "m", writer="one", dimension=D) as one,
        EmbeddingCache(tmp_path, "m", writer="two", dimension=D) as two,
    ):
        one.put(["secret", "kept"], vectors(["secret", "kept"]))
        two.put(["secret", "other"], vectors(["secret", "other"]))
        one.refresh()
        assert len(forget(tmp_path, ["m", "n"], ["secret", "unknown"], dry=True)) == 2
        assert {(gone.file, gone.row) for gone in forget(tmp_path, ["m", "n"], ["secret"])} == {
            (f"one.{D}", 0),
            (f"two.{D}", 0),
        }
        assert forget(tmp_path, ["m"], ["secret"]) == []
        assert one.get(["secret", "kept", "other"])[1].tolist() == [False, True, True]
        assert all(vector("secret").tobytes() not in path.read_bytes() for path in tmp_path.iterdir())
        one.put(["secret"], vectors(["secret"]))  # somebody else may have the text
        assert one.get(["secret"])[1].all()
    with EmbeddingCache(tmp_path, "m", dimension=D) as again:
        assert again.get(["secret", "kept", "other"])[1].all()
