"""Signatures: deterministic, close to the exact Jaccard, and blind to case and punctuation."""

import random
import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sixfold.systems.rag.clean.minhash import BANDS, PERMUTATIONS, band_hashes, signature
from sixfold.systems.rag.shingles import jaccard, shingles

WORDS = [f"w{i}" for i in range(4_000)]


def as_array(*texts: str) -> np.ndarray:
    return np.stack([np.frombuffer(signature(t), "<u4") for t in texts])


def test_the_signature_of_a_text_never_changes():
    assert signature("The quick brown fox jumps over the lazy dog").hex()[:32] == "429176c39b57d5d1e3a8aedb830fd047"
    assert len(signature("one")) == 4 * PERMUTATIONS
    assert signature(" ... ") == b""


def test_case_punctuation_and_spacing_do_not_count():
    assert signature("The quick, brown fox -- jumps over!") == signature("the QUICK brown\nfox jumps over")


def test_short_texts_are_one_shingle():
    assert len(shingles("one two three")) == 1
    assert jaccard(shingles("one two"), shingles("one two")) == 1.0
    assert jaccard(shingles(""), shingles("")) == 0.0


def test_exact_jaccard_equals_sets_of_word_runs():
    rng = random.Random(1)
    for _ in range(20):
        a, b = (rng.choices(WORDS[:12], k=rng.randint(5, 60)) for _ in range(2))
        A, B = ({tuple(x[i : i + 5]) for i in range(len(x) - 4)} for x in (a, b))
        assert jaccard(shingles(" ".join(a)), shingles(" ".join(b))) == len(A & B) / len(A | B)


def test_equal_permutations_estimate_the_jaccard():
    rng = random.Random(2)
    errors = []
    for i in range(60):
        a = rng.choices(WORDS, k=400)
        b = a.copy()
        for at in rng.sample(range(400), k=i):
            b[at] = rng.choice(WORDS)
        one, two = " ".join(a), " ".join(b)
        rows = as_array(one, two)
        errors.append((rows[0] == rows[1]).mean() - jaccard(shingles(one), shingles(two)))
    assert abs(np.mean(errors)) < 0.02  # unbiased: the standard error here is 0.005
    assert np.sqrt(np.mean(np.square(errors))) < 0.06  # sqrt(J (1 - J) / 112) is at most 0.047


def test_bands_meet_exactly_when_their_rows_are_equal():
    rows = np.tile(np.arange(PERMUTATIONS, dtype=np.uint32), (3, 1))
    rows[1, 0] += 1  # in the first band
    rows[2] += 1  # in all
    hashes = band_hashes(rows)
    assert hashes.shape == (3, BANDS)
    assert (hashes[0] == hashes[1]).tolist() == [False] + [True] * (BANDS - 1)
    assert not (hashes[0] == hashes[2]).any()
    assert len(set(band_hashes(np.zeros((1, PERMUTATIONS), np.uint32))[0].tolist())) == BANDS


@given(st.text(alphabet="aB_7 .,-\n\r\u2028éΣßİ\u201c中\ud800", max_size=80))
def test_shingles_are_the_runs_of_words_whatever_the_alphabet(text):
    words = re.findall(r"\w+", text.lower().encode("utf-8", "replace").decode())
    size = min(5, len(words))
    runs = {tuple(words[i : i + size]) for i in range(len(words) - size + 1)} if words else set()
    found = shingles(text)
    assert len(found) == len(runs)
    assert np.all(found[1:] > found[:-1])
    assert np.array_equal(found, shingles(" ".join(words)))
