"""The release gate: it blocks whatever breaks a limit or is not known, says all of why, and passes what is good."""

from __future__ import annotations

import math
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sixfold.errors import ConfigError, InputError
from sixfold.parts.ranking import Estimate
from sixfold.systems.hospital import ladder_gate
from sixfold.systems.hospital.gate import Decision, GatePolicy, SiteMetrics, judge, site_metrics

POLICY = GatePolicy(
    metric="auroc",
    floor=0.75,
    most_gap=0.2,
    most_ece=0.1,
    target_accuracy=0.9,
    least_coverage=0.5,
    least_patients=40,
)
SITES = ("basel", "cleveland", "budapest", "long beach")
UNKNOWN = (math.nan, math.inf, -math.inf, -0.01, 1.01)

unit = st.floats(0, 1)


def estimate(value: float, n: int = 100) -> Estimate:
    return Estimate(value, max(0.0, value - 0.05), min(1.0, value + 0.05), n)


def metrics(
    site: str = "basel",
    patients: int = 100,
    auroc: float = 0.85,
    tpr: float = 0.8,
    fpr: float = 0.2,
    ece: float = 0.05,
    coverage: float = 0.6,
    accuracy: float = 0.8,
) -> SiteMetrics:
    return SiteMetrics(
        site, patients, estimate(auroc), estimate(accuracy), estimate(tpr), estimate(fpr), ece, 0.9, coverage
    )


GOOD = tuple(metrics(site, auroc=0.8 + 0.02 * at, tpr=0.75 + 0.05 * at) for at, site in enumerate(SITES))

hospital = st.builds(
    metrics, auroc=unit, tpr=unit, fpr=unit, ece=unit, coverage=unit, patients=st.integers(0, 200), accuracy=unit
)
runs = st.lists(hospital, min_size=1, max_size=4).map(
    lambda found: [replace(one, site=site) for one, site in zip(found, SITES, strict=False)]
)


def named(decision: Decision) -> set[tuple[str, str]]:
    return {(reason.site, reason.metric) for reason in decision.reasons}


def test_the_good_run_passes() -> None:
    assert judge(POLICY, GOOD) == Decision(())
    assert judge(POLICY, GOOD).passed
    at_the_limits = metrics(auroc=0.75, ece=0.1, coverage=0.5, patients=40)
    assert judge(POLICY, [at_the_limits]).passed, "limits are allowed values"


@given(runs)
def test_every_run_is_blocked_for_exactly_what_it_breaks(sites: list[SiteMetrics]) -> None:
    decision, expected = judge(POLICY, sites), set()
    large = [site for site in sites if site.patients >= 40]
    expected |= {(site.site, "patients") for site in sites if site.patients < 40}
    expected |= {(site.site, "auroc") for site in large if site.auroc.value < 0.75}
    expected |= {(site.site, "ece") for site in large if site.ece > 0.1}
    expected |= {(site.site, "coverage") for site in large if site.coverage < 0.5}
    assert {one for one in named(decision) if not one[1].endswith("gap")} == expected
    for metric in ("tpr", "fpr"):
        rates = {site.site: getattr(site, metric).value for site in large}
        wide = bool(rates) and max(rates.values()) - min(rates.values()) > 0.2
        found = [reason for reason in decision.reasons if reason.metric == f"{metric} gap"]
        assert len(found) == wide
        if wide:
            lower, higher = found[0].site.split(", ")
            assert (rates[lower], rates[higher]) == (min(rates.values()), max(rates.values()))
    assert decision.passed is (not decision.reasons)
    for reason in decision.reasons:
        assert reason.limit in (0.75, 0.2, 0.1, 0.5, 40)
        assert all(site in reason.text for site in reason.site.split(", "))


@given(at=st.integers(0, 3), worst=st.floats(0, 0.7499), run=st.permutations(GOOD))
def test_one_badly_served_hospital_blocks_whoever_the_others_are(at: int, worst: float, run: list[SiteMetrics]) -> None:
    run[at] = replace(run[at], auroc=estimate(worst))
    decision = judge(POLICY, run)
    assert not decision.passed
    assert named(decision) == {(run[at].site, "auroc")}
    assert decision.reasons[0].value == worst


@given(at=st.integers(0, 3), tpr=unit, fpr=unit)
def test_too_wide_a_gap_blocks_and_names_both_hospitals(at: int, tpr: float, fpr: float) -> None:
    run = list(GOOD)
    run[at] = replace(run[at], tpr=estimate(tpr), fpr=estimate(fpr))
    for metric in ("tpr", "fpr"):
        values = [getattr(site, metric).value for site in run]
        assume(abs(max(values) - min(values) - 0.2) > 1e-9)
        broken = max(values) - min(values) > 0.2
        reasons = [reason for reason in judge(POLICY, run).reasons if reason.metric == f"{metric} gap"]
        assert bool(reasons) is broken
        if reasons:
            assert SITES[at] in reasons[0].site
            assert reasons[0].value == pytest.approx(max(values) - min(values))


@pytest.mark.parametrize("value", UNKNOWN)
@pytest.mark.parametrize("metric", ["auroc", "tpr", "fpr", "ece", "coverage"])
def test_what_is_not_known_blocks(metric: str, value: float) -> None:
    wrong = value if metric in ("ece", "coverage") else Estimate(value, value, value, 0)
    decision = judge(POLICY, [*GOOD[:3], replace(GOOD[3], **{metric: wrong})])  # type: ignore[arg-type]
    assert named(decision) == {("long beach", metric)}
    assert math.isnan(decision.reasons[0].value)
    assert "not known" in decision.reasons[0].text


def test_what_the_policy_does_not_ask_for_may_be_unknown() -> None:
    no_accuracy = replace(GOOD[0], accuracy=Estimate(math.nan, math.nan, math.nan, 0))
    assert judge(POLICY, [no_accuracy]).passed
    assert not judge(replace(POLICY, metric="accuracy"), [no_accuracy]).passed


def test_the_floor_may_be_asked_of_the_near_end_of_the_interval() -> None:
    strict = replace(POLICY, floor_at="low")
    assert judge(POLICY, [metrics(auroc=0.78)]).passed
    decision = judge(strict, [metrics(auroc=0.78)])
    assert decision.reasons[0].value == pytest.approx(0.73)
    assert decision.reasons[0].text == "basel: auroc 0.780 [0.730, 0.830] of 100, below 0.75"
    without = replace(metrics(), auroc=Estimate(0.9, math.nan, math.nan, 100))
    assert judge(POLICY, [without]).passed
    assert named(judge(strict, [without])) == {("basel", "auroc")}


def test_coverage_at_another_accuracy_says_nothing() -> None:
    decision = judge(POLICY, [replace(metrics(), target_accuracy=0.6)])
    assert named(decision) == {("basel", "coverage")}
    assert "at accuracy 0.6, not at 0.9" in decision.reasons[0].text


def test_small_hospitals_block_unless_the_policy_pools_them() -> None:
    small = [metrics("basel", 15), metrics("zurich", 30)]
    together = metrics("small hospitals", 45)
    pool = replace(POLICY, small_sites="pool")
    blocked = judge(POLICY, [*small, GOOD[1]], together)
    assert named(blocked) == {("basel", "patients"), ("zurich", "patients")}
    assert judge(pool, [*small, GOOD[1]], together).passed
    assert named(judge(pool, [*small, GOOD[1]])) == {("basel", "patients"), ("zurich", "patients")}, "nothing pooled"
    few = judge(pool, [small[0], GOOD[1]], replace(together, patients=15))
    assert named(few) == {("small hospitals", "patients")}
    other = judge(pool, [*small, GOOD[1]], replace(together, patients=46))
    assert "small hospitals have 45" in other.reasons[0].text
    bad = judge(pool, [*small, GOOD[1]], replace(together, auroc=estimate(0.5)))
    assert named(bad) == {("small hospitals", "auroc")}
    gap = judge(pool, [*small, GOOD[1]], replace(together, tpr=estimate(0.3)))
    assert named(gap) == {("small hospitals, cleveland", "tpr gap")}


def test_nobody_to_judge_blocks_and_a_hospital_is_judged_once() -> None:
    assert not judge(POLICY, []).passed
    with pytest.raises(InputError, match="twice"):
        judge(POLICY, [GOOD[0], GOOD[0]])
    with pytest.raises(InputError, match="twice"):
        judge(POLICY, GOOD, GOOD[0])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("floor", math.nan),
        ("most_gap", 1.5),
        ("most_ece", -0.1),
        ("target_accuracy", 90),
        ("least_coverage", math.inf),
        ("least_patients", 0),
        ("metric", "f1"),
        ("floor_at", "high"),
        ("small_sites", "ignore"),
    ],
)
def test_a_limit_that_is_none_is_refused(field: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"{field}: got"):
        replace(POLICY, **{field: value})  # type: ignore[arg-type]


def test_metrics_from_outcomes_and_scores() -> None:
    rng = np.random.default_rng(0)
    score = rng.beta(0.4, 0.4, 400)
    y = (rng.random(400) < score).astype(float)
    found = site_metrics("basel", y, score, POLICY.target_accuracy)
    assert judge(POLICY, [found]).passed
    assert found.patients == 400
    assert found.auroc.low < found.auroc.value < found.auroc.high
    assert found.accuracy.value == pytest.approx(((score >= 0.5) == y).mean())
    shuffled = site_metrics("basel", rng.permutation(y), score, POLICY.target_accuracy)
    assert {"auroc", "ece", "coverage"} <= {reason.metric for reason in judge(POLICY, [shuffled]).reasons}
    one_outcome = site_metrics("basel", np.zeros(60), np.linspace(0, 0.4, 60), POLICY.target_accuracy)
    assert {("basel", "auroc"), ("basel", "tpr")} <= named(judge(POLICY, [one_outcome]))


@given(st.lists(hospital, min_size=2, max_size=4))
def test_what_the_ladder_counts_as_wrong_is_computed_otherwise_and_agrees(found: list[SiteMetrics]) -> None:
    target = ladder_gate.POLICY.target_accuracy
    sites = [replace(one, site=site, target_accuracy=target) for one, site in zip(found, SITES, strict=False)]
    assert judge(ladder_gate.POLICY, sites).passed != ladder_gate._violates({one.site: asdict(one) for one in sites})


@pytest.mark.parametrize("limit", ["accuracy", "ece", "coverage", "tpr", "fpr", "patients"])
def test_the_ladder_counts_every_limit(limit: str) -> None:
    good = [replace(one, target_accuracy=ladder_gate.POLICY.target_accuracy) for one in GOOD]
    bad: dict[str, object] = {
        "accuracy": estimate(0.6),
        "ece": 0.3,
        "coverage": 0.2,
        "tpr": estimate(0.2),
        "fpr": estimate(0.9),
        "patients": 9,
    }
    worse = [replace(good[0], **{limit: bad[limit]}), *good[1:]]  # type: ignore[arg-type]
    assert not ladder_gate._violates({one.site: asdict(one) for one in good})
    assert ladder_gate._violates({one.site: asdict(one) for one in worse})
    assert not judge(ladder_gate.POLICY, worse).passed
