"""Promises of groups: hospitals check their own, none is small, one that fails spoils no other, each carries noise."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from federation_run import Federation, a_job, cohorts
from hypothesis import given
from hypothesis import strategies as st

from sixfold.errors import ConfigError
from sixfold.parts.array_codec import pack, unpack
from sixfold.parts.privacy_mechanism import Budget, Mechanism, noise_for
from sixfold.parts.robust_rules import RobustRule, combine
from sixfold.parts.signed_message import Header, open_sealed, seal
from sixfold.systems.hospital.attacks import header_of
from sixfold.systems.hospital.audit.verify import verify_logs
from sixfold.systems.hospital.federation import grouped_sum
from sixfold.systems.hospital.federation.contribution import contribute, fixed_point
from sixfold.systems.hospital.federation.coordinator import FederationStalled
from sixfold.systems.hospital.federation.grouping import group_of, groups_of
from sixfold.systems.hospital.federation.job import Job, Protection
from sixfold.systems.hospital.federation.messages import LIMIT_BYTES, Phase
from sixfold.systems.hospital.provision import COORDINATOR, load_kit
from sixfold.systems.hospital.train.algorithm import Total
from sixfold.systems.hospital.train.choose import make_algorithm
from sixfold.systems.hospital.train.pooled import run_in_plain

DATA = cohorts(9)
SITES = tuple(cohort.site for cohort in DATA)
FEDAVG = make_algorithm("fedavg", 3, {"rounds": 2, "epochs": 5, "learning_rate": 0.5})
Handle = Callable[[bytes], bytes]


def grouped(**more: Any) -> Job:
    """Three groups of three hospitals each, of which one may be hostile."""
    known = {"groups": 3, "rule": RobustRule.MEDIAN, "hostile": 1, "minimum_sites": 2}
    return a_job(SITES, **{**known, **more})


def trained(federation: Federation, job: Job) -> np.ndarray:
    return federation.coordinator().run(job, FEDAVG, seed=0).state.arrays["theta"]


def by_hand(job: Job) -> np.ndarray:
    """The model of the job's rule over its groups, where every vector is known."""
    state = FEDAVG.init(0)
    for round_ in range(FEDAVG.rounds):
        order = FEDAVG.order(state)
        values = {cohort.site: contribute(job, order, cohort, {}, b"k" * 32, round_).values for cohort in DATA}
        drawn = groups_of(job, round_)
        sums = [fixed_point(job).decode(np.sum([values[site] for site in group], axis=0)) for group in drawn]
        total = combine(job.rule, np.stack(sums), [len(group) for group in drawn], job.hostile)
        state = FEDAVG.step(state, Total(total, len(DATA)))
    return state.arrays["theta"]


@pytest.mark.parametrize("rule", [rule for rule in RobustRule if rule is not RobustRule.SUM])
def test_groups_train_the_rules_model_of_their_sums_bit_for_bit(tmp_path: Path, rule: RobustRule) -> None:
    hostile = 0 if rule in (RobustRule.KRUM, RobustRule.MULTI_KRUM) else 1
    single, _ = run_in_plain(FEDAVG, DATA, seed=0)
    for at, protection in enumerate(Protection):
        for regroup in (False, True):
            federation = Federation(tmp_path / f"{at}{regroup}", DATA)
            job = grouped(rule=rule, hostile=hostile, regroup=regroup, protection=protection)
            model = trained(federation, job)
            assert model.tobytes() == by_hand(job).tobytes()
            theta = single.arrays["theta"]
            assert np.linalg.norm(model - theta) < 0.3 * np.linalg.norm(theta), "nobody is hostile here"
            roster = load_kit(federation.folder / "kits" / COORDINATOR, COORDINATOR).roster
            assert not verify_logs(federation.logs, roster).findings


@given(sites=st.integers(4, 30), groups=st.integers(2, 6), round_=st.integers(0, 50), regroup=st.booleans())
def test_groups_part_the_hospitals_of_a_job_and_follow_from_it(
    sites: int, groups: int, round_: int, regroup: bool
) -> None:
    names = [f"site{at}" for at in range(sites)]
    if sites // groups < 2:
        with pytest.raises(ConfigError, match="are the least: ask for fewer groups"):
            a_job(names, groups=groups, rule=RobustRule.MEDIAN, minimum_sites=2)
        return
    job = a_job(names, groups=groups, rule=RobustRule.MEDIAN, minimum_sites=2, regroup=regroup)
    drawn = groups_of(job, round_)
    assert sorted(site for group in drawn for site in group) == sorted(names)
    assert min(map(len, drawn)) >= job.minimum_sites
    assert all(site in group_of(job, round_, site) for site in names)
    assert groups_of(Job.from_json(job.to_json()), round_) == drawn
    if not regroup:
        assert drawn == groups_of(job, round_ + 1)


def test_drawn_anew_in_every_round_groups_give_away_a_vector_that_does_not_change() -> None:
    """The leak that the docstring of `grouping` states: what each hospital says is solved for from sums of groups."""
    vectors = np.random.default_rng(0).normal(size=(len(SITES), 2))
    worst = {}
    for regroup in (False, True):
        job = grouped(regroup=regroup)
        rows = [[float(site in group) for site in job.sites] for at in range(12) for group in groups_of(job, at)]
        found, *_ = np.linalg.lstsq(np.array(rows), np.array(rows) @ vectors, rcond=None)
        worst[regroup] = np.abs(found - vectors).max()
    assert worst[True] < 1e-9
    assert worst[False] > 0.5


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"rule": RobustRule.SUM}, "another rule than the sum"),
        ({"groups": 0}, "neither groups nor anything hostile"),
        ({"groups": 1, "rule": RobustRule.SUM, "hostile": 0, "regroup": True}, "neither groups"),
        ({"groups": 10}, "expected 2 to 9 groups"),
        ({"hostile": 2}, "median needs 5 against 2 hostile"),
        ({"rule": RobustRule.KRUM}, "krum needs 5 against 1 hostile"),
        ({"groups": 4, "minimum_sites": 3}, "4 groups leave 2 hospitals in one, 3 are the least"),
        ({"colluding": 2}, "does not hide a hospital from 2 others"),
        ({"norm_bound": -1.0}, "norm_bound=-1"),
        ({"norm_bound": float("nan")}, "norm_bound=nan"),
    ],
)
def test_groups_that_do_not_do_what_they_are_for_are_refused(more: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        grouped(**more)


def test_noise_that_not_every_group_carries_is_refused(tmp_path: Path) -> None:
    budget = Budget(1.0, 1e-3)
    noise = noise_for(budget, 4)
    with pytest.raises(ConfigError, match="noise is split over 3 hospitals, but only that of 2"):
        grouped(mechanism=Mechanism(1.0, noise, 3), budget=budget)
    with pytest.raises(ConfigError, match="does not cover a norm_bound"):
        grouped(mechanism=Mechanism(1.0, noise, 2), budget=budget, norm_bound=1.0)
    job = grouped(mechanism=Mechanism(1.0, noise, 2), budget=budget)
    algorithm = make_algorithm("dp_gradient", 3, {"rounds": 2, "clip": 1.0, "expected_batch": 900.0})
    assert len(Federation(tmp_path, DATA).coordinator().run(job, algorithm, seed=0).rounds) == 2


def test_a_hospital_refuses_another_group_than_the_jobs_draw_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A coordinator that puts a hospital beside hospitals of its own choice."""
    by_name = tuple(SITES[at : at + 3] for at in (0, 3, 6))
    monkeypatch.setattr(grouped_sum, "groups_of", lambda job, round_: by_name)
    federation = Federation(tmp_path, DATA)
    assert set(by_name) != set(groups_of(grouped(), 0))
    with pytest.raises(FederationStalled):
        trained(federation, grouped())
    assert "than the draw of this job" in (tmp_path / "site0" / "audit.jsonl").read_text()
    assert not any('"kind":"contribution"' in path.read_text() for path in federation.logs.values())


def test_a_hospital_refuses_a_group_that_is_smaller_than_the_least(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = tuple((site,) for site in SITES)
    monkeypatch.setattr(grouped_sum, "groups_of", lambda job, round_: alone)

    def any_will_do(self: grouped_sum.GroupedSum, sites: Sequence[str], refusals: object = None) -> None:
        if not sites:
            raise grouped_sum.TooFew("nobody answered")

    monkeypatch.setattr(grouped_sum.GroupedSum, "_enough", any_will_do)
    with pytest.raises(FederationStalled):
        trained(Federation(tmp_path, DATA), grouped(protection=Protection.PLAIN))
    assert "1 hospitals are asked, 2 of this job are the least" in (tmp_path / "site0" / "audit.jsonl").read_text()


@pytest.mark.parametrize("protection", list(Protection))
def test_a_group_with_too_few_is_left_out_and_the_others_go_on(tmp_path: Path, protection: Protection) -> None:
    job = grouped(groups=4, protection=protection)
    gone = groups_of(job, 0)[-1]
    assert len(gone) == 2

    def change(site: str, request: bytes, handle: Handle) -> bytes:
        return b"" if site == gone[0] and header_of(request).phase != Phase.OFFER else handle(request)

    done = Federation(tmp_path, DATA, change=change).coordinator().run(job, FEDAVG, seed=0)
    assert len(done.rounds) == 2
    for record in done.rounds:
        assert set(record.counted) == set(SITES) - set(gone)
        assert "1 hospitals are left, 2 are the least" in record.why


def test_one_lost_of_a_larger_group_is_only_lost_itself(tmp_path: Path) -> None:
    def change(site: str, request: bytes, handle: Handle) -> bytes:
        return b"" if site == "site3" and header_of(request).phase == Phase.MASK else handle(request)

    done = Federation(tmp_path, DATA, change=change).coordinator().run(grouped(), FEDAVG, seed=0)
    assert {record.counted for record in done.rounds} == {tuple(site for site in SITES if site != "site3")}


def test_with_too_few_groups_the_round_is_asked_for_again_and_comes_out_the_same(tmp_path: Path) -> None:
    job = grouped()
    expected = trained(Federation(tmp_path / "whole", DATA), job)
    for phase in (Phase.SHARE, Phase.MASK, Phase.CONFIRM, Phase.UNMASK):
        group, failures = set(groups_of(job, 0)[1]), 0

        def change(site: str, request: bytes, handle: Handle, phase: Phase = phase, group: set[str] = group) -> bytes:
            nonlocal failures
            if site in group and header_of(request).phase == phase and header_of(request).attempt == 0:
                failures += 1
                return b""
            return handle(request)

        done = Federation(tmp_path / phase.name, DATA, change=change).coordinator().run(job, FEDAVG, seed=0)
        assert failures >= 3
        assert [record.attempt for record in done.rounds[:2]] == [0, 1]
        assert "2 of 3 groups have a sum, 3 are the least" in done.rounds[0].why
        assert done.state.arrays["theta"].tobytes() == expected.tobytes()


@pytest.mark.parametrize("protection", list(Protection))
@pytest.mark.parametrize(
    "said",
    [{}, {"advert": 7, "vector": 7}, {"advert": b"short", "vector": b"short"}, {"pieces": 1 << 40}, {"pieces": -1}],
)
def test_an_answer_without_form_costs_its_own_group_only(
    tmp_path: Path, protection: Protection, said: dict[str, Any]
) -> None:
    job = grouped(groups=4, protection=protection)
    hostile = groups_of(job, 0)[-1][0]
    federation = Federation(tmp_path, DATA)
    kit = load_kit(tmp_path / "kits" / hostile, hostile)

    def change(site: str, request: bytes, handle: Handle) -> bytes:
        answer = handle(request)
        if site != hostile or header_of(request).phase == Phase.OFFER:
            return answer
        roster = load_kit(tmp_path / "kits" / COORDINATOR, COORDINATOR).roster
        header, body = open_sealed(answer, roster, COORDINATOR, LIMIT_BYTES)
        reply = Header(header.federation, hostile, COORDINATOR, "answer", header.round, header.attempt, header.phase)
        return seal(kit.signing_key, reply, pack({**said, "head": unpack(body, LIMIT_BYTES)["head"]}))

    federation.change = change
    done = federation.coordinator().run(job, FEDAVG, seed=0)
    assert all(set(record.counted) == set(SITES) - set(groups_of(job, 0)[-1]) for record in done.rounds)


@pytest.mark.parametrize("bound", [0.05, 0.4, 100.0])
def test_a_hospital_that_keeps_to_the_protocol_scales_its_vector_down_to_the_bound(bound: float) -> None:
    free, job = grouped(), grouped(norm_bound=bound)
    order = FEDAVG.order(FEDAVG.init(0))
    for cohort in DATA:
        whole, bounded = (
            fixed_point(each).decode(contribute(each, order, cohort, {}, b"k" * 32, 0).values) for each in (free, job)
        )
        assert np.linalg.norm(bounded) <= bound * len(cohort) + 1e-5
        share = min(1.0, bound * len(cohort) / np.linalg.norm(whole))
        assert bounded == pytest.approx(share * whole, abs=1e-5), "direction and mean stay, only the weight falls"


class Killed(Exception):  # noqa: N818
    """The coordinator ends here."""


@pytest.mark.parametrize("at", [12, 30, 47, 58])  # the offer; then each step of the first round, at all hospitals
def test_a_coordinator_killed_in_a_round_of_groups_goes_on_to_the_same_bits(tmp_path: Path, at: int) -> None:
    job, messages = grouped(regroup=True), 0

    def change(site: str, request: bytes, handle: Handle) -> bytes:
        nonlocal messages
        messages += 1
        answer = handle(request)
        if messages == at:
            raise Killed
        return answer

    federation = Federation(tmp_path / "killed", DATA, change=change)
    with pytest.raises(Killed):
        trained(federation, job)
    assert trained(federation, job).tobytes() == by_hand(job).tobytes()


def test_groups_move_no_more_bytes_than_one_sum(tmp_path: Path) -> None:
    """What the law of bytes counts, orders down and vectors up, is the same; keys are exchanged within groups only."""
    one = Federation(tmp_path / "one", DATA).coordinator().run(a_job(SITES, minimum_sites=2), FEDAVG, seed=0)
    several = Federation(tmp_path / "several", DATA).coordinator().run(grouped(), FEDAVG, seed=0)
    assert len(one.rounds) == len(several.rounds) == 2
    assert several.moved_bytes < one.moved_bytes
