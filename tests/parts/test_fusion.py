"""Fusion is deterministic, needs no tuning and does not care about scales."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.errors import ConfigError
from sixfold.parts.fusion import FUSIONS, Run, minmax, rrf, standard


def as_run(scores: dict[str, int]) -> Run:
    return sorted(((name, float(score)) for name, score in scores.items()), key=lambda item: (-item[1], item[0]))


run_st = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 50), max_size=8).map(as_run)
runs_st = st.lists(run_st, min_size=1, max_size=3)


@pytest.mark.parametrize("fusion", FUSIONS.values(), ids=FUSIONS)
@given(runs=runs_st)
def test_every_document_once_best_first(fusion, runs: list[Run]) -> None:  # type: ignore[no-untyped-def]
    fused = fusion(runs)
    assert sorted(name for name, _ in fused) == sorted({name for run in runs for name, _ in run})
    assert fused == sorted(fused, key=lambda item: (-item[1], item[0]))


@pytest.mark.parametrize("fusion", FUSIONS.values(), ids=FUSIONS)
@given(run=run_st)
def test_agreement_keeps_the_order(fusion, run: Run) -> None:  # type: ignore[no-untyped-def]
    assert [name for name, _ in fusion([run, run])] == [name for name, _ in run]


@pytest.mark.parametrize("fusion", FUSIONS.values(), ids=FUSIONS)
@given(runs=runs_st)
def test_a_change_of_scale_changes_nothing(fusion, runs: list[Run]) -> None:  # type: ignore[no-untyped-def]
    scaled = [[(name, score * 4.0) for name, score in run] for run in runs]  # a power of two rounds nothing
    assert fusion(scaled) == fusion(runs)


def test_rrf_by_hand() -> None:
    assert rrf([[("a", 9.0), ("b", 1.0)], [("b", 0.3)]]) == [("b", 1 / 62 + 1 / 61), ("a", 1 / 61)]
    assert rrf([[("a", 9.0), ("b", 1.0)]], depth=1) == [("a", 1 / 61)]


def test_minmax_by_hand() -> None:
    runs = [[("a", 9.0), ("b", 5.0), ("c", 1.0)], [("b", 0.3)]]
    assert minmax(runs) == [("b", 0.75), ("a", 0.5), ("c", 0.0)]
    assert minmax(runs, weights=[1.0, 0.0])[0] == ("a", 1.0)


def test_standard_by_hand() -> None:
    assert standard([[("a", 3.0), ("b", 1.0)], [("b", 0.8), ("a", 0.6)]]) == [
        ("a", 1.0),
        ("b", pytest.approx(1.0)),
    ]
    assert standard([[("a", 3.0), ("b", 1.0)], [("c", 2.0), ("d", 2.0)]])[0] == ("a", 1.0)


def test_the_only_match_of_a_rare_word_stands_out() -> None:
    vectors = [(f"v{i:02d}", 0.6 - i / 500) for i in range(100)]
    assert standard([[("only", 7.0)], vectors])[0][0] == "only"
    assert standard([[("v50", 7.0)], vectors])[0][0] == "v50"


@pytest.mark.parametrize("weights", [[1.0], [1.0, -1.0], [1.0, float("nan")]])
def test_wrong_weights(weights: list[float]) -> None:
    with pytest.raises(ConfigError, match="expected 2 weights"):
        minmax([[], []], weights)
