import math

import pytest

from sixfold.errors import ConfigError, InputError
from sixfold.systems.rag.crawl.seen import SeenSet, bits_per_url, url_hash


def test_bits_follow_the_formula():
    assert bits_per_url(0.01) == pytest.approx(1.4427 * math.log2(100), rel=1e-4)
    seen = SeenSet(50_000, 1e-4)
    assert seen.size_bits == pytest.approx(50_000 * bits_per_url(1e-4), rel=0.02)


def test_false_positives_stay_within_the_bound_when_full():
    seen = SeenSet(20_000, 0.01)
    new = sum(seen.add(f"http://host{n % 97}/page/{n}") for n in range(20_000))
    assert new == seen.added
    assert all(f"http://host{n % 97}/page/{n}" in seen for n in range(0, 20_000, 7))
    # 20,000 probes at 1 %: standard deviation 0.07 points, so 4 of them
    assert seen.measured_false_positive_rate() <= 0.01 + 4 * 0.0007
    assert seen.estimated_false_positive_rate() == pytest.approx(0.01, rel=0.15)


def test_the_hash_is_the_same_in_every_process():
    assert url_hash("http://127.0.0.2/") == 54015969968995548071536043107468885620
    assert -(2**127) <= url_hash("x") < 2**127


def test_saved_and_loaded(tmp_path):
    seen = SeenSet(1_000, 1e-6)
    seen.add("http://a/")
    seen.save(tmp_path / "seen")
    again = SeenSet.load(tmp_path / "seen")
    assert "http://a/" in again
    assert not again.add("http://a/")
    assert again.add("http://b/")
    assert again.added == 2


def test_refusals(tmp_path):
    with pytest.raises(ConfigError, match="capacity 0"):
        SeenSet(0)
    with pytest.raises(ConfigError, match="between 0 and 1"):
        SeenSet(1, 1.0)
    with pytest.raises(InputError, match="nothing"):
        SeenSet.load(tmp_path / "nothing")
    (tmp_path / "junk").write_bytes(b"junk\n\x00\x01")
    with pytest.raises(InputError, match="junk"):
        SeenSet.load(tmp_path / "junk")
