"""Monitoring: counts leave and never rows, no alarm without drift, an alarm soon after it, and a person after that."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sixfold.errors import ConfigError, InputError
from sixfold.parts.array_codec import pack, unpack
from sixfold.parts.drift import Histogram
from sixfold.systems.hospital.monitor import Answer, Monitor, Phase, Policy, SiteState, disparity
from sixfold.systems.hospital.monitor_report import SCORE, Outcomes, Plan, Report, report_from, report_to, site_report
from sixfold.systems.hospital.monitor_simulation import Truth, first_alarms

Floats = NDArray[np.float64]

FEATURES = ("age", "pressure", "sugar")
SIXTHS = (-0.97, -0.43, 0.0, 0.43, 0.97)
PLAN = Plan({SCORE: (0.2, 0.35, 0.5, 0.65, 0.8), **dict.fromkeys(FEATURES, SIXTHS)}, threshold=0.5, delay=2)
MONITOR = Monitor(PLAN, Policy())
PATIENTS = 100
ALARM = Answer("M. Curie", "keep", "a new laboratory, checked by hand", 0)


def patients(
    rng: np.random.Generator, n: int, shift: float = 0.0, worse: float = 0.0, bias: float = 0.0
) -> tuple[dict[str, Floats], Floats, Floats]:
    """Values, outcomes and scores. shift: of two features. worse: of the outcome's log-odds at equal features."""
    X = rng.normal([shift, shift, 0.0], 1.0, (n, 3))
    eta = X @ [1.0, -0.8, 0.6] - 0.4
    score = 1 / (1 + np.exp(-eta - bias))
    y = (rng.random(n) < 1 / (1 + np.exp(-eta - worse))).astype(float)
    X[rng.random((n, 3)) < 0.1] = np.nan
    return {SCORE: score, **dict(zip(FEATURES, X.T, strict=True))}, y, score


def reference(rng: np.random.Generator, n: int = 400, **what: float) -> Report:
    values, y, score = patients(rng, n, **what)
    return site_report(PLAN, "a", 0, values, (y, score))


def watch(seed: int, periods: int, since: int = 10**6, bias: float = 0.0, **change: float) -> list[SiteState]:
    """The states of a hospital whose patients change in period `since`, until the first alarm."""
    rng = np.random.default_rng(seed)
    states, waiting = [MONITOR.init(reference(rng, bias=bias))], []
    for period in range(1, periods + 1):
        values, y, score = patients(rng, PATIENTS, bias=bias, **(change if period >= since else {}))
        waiting.append((y, score))
        known = waiting.pop(0) if len(waiting) > PLAN.delay else None
        states.append(MONITOR.step(states[-1], site_report(PLAN, "a", period, values, known)))
        if states[-1].phase is Phase.ALARMED:
            break
    return states


def alarmed() -> SiteState:
    state = watch(0, 10, since=1, shift=1.0)[-1]
    assert state.phase is Phase.ALARMED
    return state


# What leaves a hospital


@given(seed=st.integers(0, 10_000), n=st.integers(0, 150), least=st.integers(2, 12))
def test_no_count_below_the_least_leaves_a_hospital(seed: int, n: int, least: int) -> None:
    plan = replace(PLAN, least_count=least)
    values, y, score = patients(np.random.default_rng(seed), n)
    report = site_report(plan, "a", 1, values, (y, score))
    for histogram in report.histograms.values():
        assert all(count >= least for count in histogram.counts)
        assert sum(histogram.counts) == (n if n >= least else 0)
    if report.outcomes is not None:
        ill, of = np.array(report.outcomes.ill), np.array(report.outcomes.patients)
        assert min(ill.min(), (of - ill).min()) >= least
        assert (ill.sum(), of.sum()) == (y.sum(), n)
        assert sum(report.outcomes.score) == pytest.approx(score.sum())


@given(seed=st.integers(0, 10_000), n=st.integers(5, 150))
def test_outcomes_and_scores_of_the_same_patients_have_no_small_difference(seed: int, n: int) -> None:
    values, y, score = patients(np.random.default_rng(seed), n)
    report = site_report(PLAN, "a", 1, values, (y, score))
    if report.outcomes is not None:
        assert {*report.outcomes.cuts} <= {*report.histograms[SCORE].cuts}


def test_error_rates_are_those_of_rows_where_cells_allow_and_else_unknown() -> None:
    rng = np.random.default_rng(0)
    values, y, score = patients(rng, 500)
    known = site_report(PLAN, "a", 1, values, (y, score)).outcomes
    assert known is not None
    rates = known.rates(PLAN.told_ill)
    assert rates.tpr.value == pytest.approx((score >= 0.5)[y == 1].mean())
    assert rates.fpr.value == pytest.approx((score >= 0.5)[y == 0].mean())
    assert (rates.tpr.n, rates.fpr.n) == (y.sum(), (1 - y).sum())
    assert known.excess == pytest.approx(y.sum() - score.sum())
    assert known.variance == pytest.approx((score * (1 - score)).sum(), rel=0.05)
    one_sided = site_report(PLAN, "a", 1, values, (y, np.where(y == 1, 0.9, score))).outcomes
    assert one_sided is not None
    assert np.isnan(one_sided.rates(PLAN.told_ill).tpr.value), "fewer than the least were missed: not told how many"


def test_missing_values_are_a_bin_and_their_increase_is_drift() -> None:
    rng = np.random.default_rng(1)
    state = MONITOR.init(reference(rng))
    values, *_ = patients(rng, PATIENTS)
    values["sugar"][rng.random(PATIENTS) < 0.5] = np.nan
    after = MONITOR.step(state, site_report(PLAN, "a", 1, values, None))
    assert [drift.name for drift in after.drifts if drift.index > drift.limit] == ["sugar"]
    assert after.phase is Phase.WARNED
    assert after.reasons[0].startswith("sugar: PSI")


def test_rows_that_do_not_fit_the_plan_are_refused() -> None:
    values, y, score = patients(np.random.default_rng(0), 20)
    with pytest.raises(InputError, match="a: got values of"):
        site_report(PLAN, "a", 1, {SCORE: score}, None)
    with pytest.raises(InputError, match="one each a patient"):
        site_report(PLAN, "a", 1, {**values, "age": values["age"][1:]}, None)
    with pytest.raises(InputError, match="outcome of 0 or 1"):
        site_report(PLAN, "a", 1, values, (y + 1, score))
    with pytest.raises(InputError, match="a score for every"):
        site_report(PLAN, "a", 1, values, (y, score + 1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"threshold": 0.4}, "expected the threshold among them"),
        ({"edges": {**PLAN.edges, "age": (1.0, 0.0)}}, "edges of age"),
        ({"delay": -1}, "delay=-1"),
        ({"least_count": 1}, "least_count=1"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(PLAN, **change)  # type: ignore[arg-type]


# Alarms


def truth(worse: float = 0.0, prevalence: float | None = None) -> Truth:
    """The generator above as a population; prevalence: patients with and without the outcome in other proportions."""
    values, y, score = patients(np.random.default_rng(99), 100_000, worse=worse)
    weight = np.ones(len(y))
    if prevalence is not None:
        weight = np.where(y == 1, prevalence / y.mean(), (1 - prevalence) / (1 - y.mean()))
    size = len(PLAN.edges[SCORE]) + 2
    shares = {}
    for name, of in values.items():
        shares[name] = np.bincount(PLAN.bins(name, of), weight, size) / weight.sum()
    at = PLAN.bins(SCORE, score)
    n = np.maximum(np.bincount(at, weight, size), 1e-9)
    return Truth(shares, np.bincount(at, weight * score, size) / n, np.bincount(at, weight * y, size) / n)


def test_of_200_runs_without_drift_few_raise_an_alarm() -> None:
    alarms = first_alarms(
        MONITOR, truth(), patients=PATIENTS, reference_patients=400, periods=24, runs=200,
        rng=np.random.default_rng(0),
    )  # fmt: skip
    assert (alarms > 0).sum() <= 10, f"{(alarms > 0).sum()} false alarms in 200 runs of 24 periods"


@pytest.mark.parametrize(("bias", "most"), [(0.0, 3), (0.8, 3)])
def test_neither_sampling_nor_what_the_model_missed_from_the_beginning_is_drift(bias: float, most: int) -> None:
    alarms = sum(watch(seed, 24, bias=bias)[-1].phase is Phase.ALARMED for seed in range(40))
    assert alarms <= most, f"{alarms} false alarms in 40 runs of 24 periods"


@pytest.mark.parametrize(
    ("later", "within"),
    [
        ({"prevalence": 0.75}, 4),
        ({"worse": 1.0}, PLAN.delay + 5),  # only the outcomes tell, and they are late
    ],
    ids=["prevalence", "concept"],
)
def test_a_simulated_change_raises_an_alarm_within_a_few_periods(later: dict[str, float], within: int) -> None:
    alarms = first_alarms(
        MONITOR, truth(), patients=PATIENTS, reference_patients=400, periods=20, runs=40,
        rng=np.random.default_rng(1), later=truth(**later), since=9,
    )  # fmt: skip
    assert ((alarms >= 9) & (alarms < 9 + within)).mean() >= 0.9, alarms


def test_a_shift_of_two_features_by_one_standard_deviation_raises_an_alarm_in_two_periods() -> None:
    for seed in range(20):
        state = watch(seed, 12, since=5, shift=1.0)[-1]
        assert (state.phase, state.period) == (Phase.ALARMED, 6), f"seed {seed}"
        names = {drift.name for drift in state.drifts if drift.index > drift.limit}
        assert {"age", "pressure"} <= names
        assert any(reason.startswith("age: PSI") for reason in state.reasons)


def test_outcomes_are_as_of_their_own_period_and_warn_before_they_alarm() -> None:
    states = watch(3, 20, since=5, worse=1.2)
    assert states[2].as_of is None, "no outcome is known yet"
    assert all(state.as_of == state.period - PLAN.delay for state in states[3:])
    assert states[-1].phase is Phase.ALARMED
    assert states[-1].period >= 5 + PLAN.delay
    assert any(state.phase is Phase.WARNED for state in states[7:-1])
    assert "more than before at equal scores" in " ".join(states[-1].reasons)


def test_one_signal_warns_and_passes() -> None:
    rng = np.random.default_rng(5)
    state, phases = MONITOR.init(reference(rng)), []
    for period in range(1, 6):
        values, *_ = patients(rng, PATIENTS, shift=1.5 if period == 1 else 0.0)
        state = MONITOR.step(replace(state, silent=0), site_report(PLAN, "a", period, values, None))
        phases.append(state.phase)
    assert phases == [Phase.WARNED] * 3 + [Phase.QUIET] * 2, "as long as it is among the last three"


def test_silence_is_not_quiet() -> None:
    state = MONITOR.init(reference(np.random.default_rng(0)))
    state = MONITOR.step(state, None)
    assert state.phase is Phase.QUIET
    state = MONITOR.step(state, None)
    assert (state.phase, state.reasons) == (
        Phase.WARNED,
        ("something was not reported in 2 periods in a row",),
    )
    values, y, score = patients(np.random.default_rng(1), PATIENTS)
    without = MONITOR.step(state, site_report(PLAN, "a", 3, values, None))
    assert without.silent == 3, "outcomes of period 1 are due"
    assert MONITOR.step(state, site_report(PLAN, "a", 3, values, (y, score))).silent == 0


def test_outcomes_that_belong_to_the_reference_are_not_counted_twice() -> None:
    state = MONITOR.init(reference(np.random.default_rng(0)))
    values, y, score = patients(np.random.default_rng(1), PATIENTS)
    after = MONITOR.step(state, site_report(PLAN, "a", 1, values, (y, score)))
    assert (after.as_of, after.excess, after.variance) == (None, state.excess, state.variance)


# Decisions


def test_an_alarm_stays_until_a_person_answers_it() -> None:
    state, rng = alarmed(), np.random.default_rng(7)
    for _ in range(8):
        values, y, score = patients(rng, PATIENTS)
        state = MONITOR.step(state, site_report(PLAN, "a", state.period + 1, values, (y, score)))
        assert state.phase is Phase.ALARMED
        assert state.reasons, "what it was raised for is still said"
    kept = MONITOR.decide(state, replace(ALARM, period=state.period))
    assert (kept.phase, kept.signals, kept.reasons) == (Phase.QUIET, (), ())
    assert kept.answers[-1].person == "M. Curie"


@pytest.mark.parametrize("action", ["retrain", "withdraw"])
def test_after_a_decision_nothing_is_judged_until_another_model_is_released(action: str) -> None:
    state = alarmed()
    answer = replace(ALARM, action=action, period=state.period)  # type: ignore[arg-type]
    decided = MONITOR.decide(state, answer)
    waiting = MONITOR.step(decided, None)
    assert (waiting.phase, waiting.period) == (Phase.DECIDED, state.period + 1)
    fresh = replace(reference(np.random.default_rng(3)), period=waiting.period)
    again = MONITOR.released(waiting, fresh)
    assert (again.phase, again.period, again.signals, again.answers) == (Phase.QUIET, waiting.period, (), (answer,))
    with pytest.raises(InputError, match="no release was decided"):
        MONITOR.released(again, fresh)
    with pytest.raises(InputError, match="of b in period"):
        MONITOR.released(waiting, replace(fresh, site="b"))


@pytest.mark.parametrize("change", [{"person": " "}, {"reason": ""}])
def test_nobody_and_no_reason_answer_nothing(change: dict[str, str]) -> None:
    state = alarmed()
    with pytest.raises(InputError, match="named person"):
        MONITOR.decide(state, replace(ALARM, period=state.period, **change))  # type: ignore[arg-type]


def test_without_an_alarm_there_is_nothing_to_decide() -> None:
    state = MONITOR.init(reference(np.random.default_rng(0)))
    with pytest.raises(InputError, match="no alarm to answer"):
        MONITOR.decide(state, ALARM)
    with pytest.raises(InputError, match="no alarm to answer in period 1"):
        MONITOR.decide(alarmed(), replace(ALARM, period=1))


def test_reports_of_another_hospital_or_period_and_small_references_are_refused() -> None:
    rng = np.random.default_rng(0)
    state = MONITOR.init(reference(rng))
    values, *_ = patients(rng, PATIENTS)
    for site, period in (("b", 1), ("a", 2), ("a", 0)):
        with pytest.raises(InputError, match="expected period 1 of a"):
            MONITOR.step(state, site_report(PLAN, site, period, values, None))
    certain = Outcomes((0, 3, 7), (50, 50), (10, 40), (0.0, 50.0))
    for small in (
        replace(reference(rng), outcomes=None),
        reference(rng, n=4),
        replace(reference(rng), outcomes=certain),
    ):
        with pytest.raises(InputError, match="too few patients"):
            MONITOR.init(small)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"false_alarm": 0.0}, "false_alarm=0"), ({"needed": 4}, "4 of 3"), ({"run_length": 1.0}, "run_length=1")],
)
def test_a_policy_that_cannot_be_is_refused(change: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Policy(**change)  # type: ignore[arg-type]


# Between hospitals


def outcome_report(site: str, missed: int, as_of: int = 3) -> Report:
    """50 ill, of whom so many were missed, and 50 well, of whom 10 were told ill."""
    table = Outcomes((0, 3, 7), (40 + missed, 60 - missed), (missed, 50 - missed), (10.0, 40.0))
    return Report(site, as_of + 2, {SCORE: Histogram((0, 3, 7), (50, 50))}, table, as_of)


def test_the_gap_between_hospitals_names_both_and_the_period() -> None:
    found = disparity(PLAN, [outcome_report("a", 5), outcome_report("b", 30), outcome_report("c", 10)])
    assert (found.tpr.size, found.tpr.lower, found.tpr.higher, found.as_of) == (pytest.approx(0.5), "b", "a", 3)
    assert 0.2 < found.tpr.certain < 0.4
    assert (found.fpr.size, found.fpr.certain) == (0.0, 0.0)


def test_a_gap_to_an_unknown_rate_is_unknown() -> None:
    hidden = replace(outcome_report("b", 30), outcomes=None)
    found = disparity(PLAN, [outcome_report("a", 5), hidden])
    assert np.isnan([found.tpr.size, found.fpr.certain]).all()
    assert found.tpr.lower == "b"


def test_periods_are_not_mixed_and_hospitals_not_doubled() -> None:
    for other in (outcome_report("b", 5, as_of=4), outcome_report("a", 5)):
        with pytest.raises(InputError, match="one report of every hospital"):
            disparity(PLAN, [outcome_report("a", 5), other])


def test_a_report_survives_its_way_as_plain_values() -> None:
    values, y, score = patients(np.random.default_rng(4), 200)
    for known in (None, (y, score)):
        report = site_report(PLAN, "north", 3, values, known)
        assert report_from(unpack(pack(report_to(report)), 1 << 20), PLAN, "north", 3) == report


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("site",), "south"),
        (("period",), 4),
        (("as_of",), 3),
        (("histograms",), {}),
        (("histograms", SCORE, "cuts"), [0, 3]),
        (("histograms", SCORE, "counts", 0), 4),
        (("histograms", SCORE, "counts", 0), -7),
        (("histograms", SCORE, "counts", 0), 1 << 60),
        (("histograms", SCORE, "counts", 0), "many"),
        (("outcomes", "ill", 0), 1),
        (("outcomes", "ill"), []),
        (("outcomes", "score", 0), 1e6),
        (("outcomes", "score", 0), float("nan")),
    ],
)
def test_what_no_hospital_can_have_counted_is_no_report(path: tuple[str | int, ...], value: object) -> None:
    values, y, score = patients(np.random.default_rng(4), 200)
    record = json.loads(json.dumps(report_to(site_report(PLAN, "north", 3, values, (y, score)))))
    place = record
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(InputError, match="north"):
        report_from(record, PLAN, "north", 3)
