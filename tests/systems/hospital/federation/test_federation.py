"""Promises of a federation: the same model as in plain, whoever drops out or is killed; nothing told twice."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from federation_run import Federation, a_job, cohorts

from sixfold.errors import ConfigError, InputError
from sixfold.parts.privacy_ledger import PrivacyLedger
from sixfold.parts.privacy_mechanism import Budget, Mechanism, noise_for
from sixfold.systems.hospital.audit.verify import verify_logs
from sixfold.systems.hospital.federation.coordinator import FederationRefused, FederationStalled
from sixfold.systems.hospital.federation.job import Job, Output, Protection
from sixfold.systems.hospital.train.algorithm import Algorithm, Order, State
from sixfold.systems.hospital.train.choose import make_algorithm
from sixfold.systems.hospital.train.pooled import run_in_plain

SITES = tuple(f"site{at}" for at in range(4))
DATA = cohorts()
NEWTON = make_algorithm("newton", 3, {"rounds": 4})


class Killed(Exception):  # noqa: N818
    """The process ends here."""


def no_findings(federation: Federation) -> bool:
    verified = verify_logs(federation.logs, federation.roster)
    assert not verified.findings, "\n".join(map(str, verified.findings))
    return True


@pytest.mark.parametrize("protection", list(Protection))
@pytest.mark.parametrize("name", ["newton", "fedavg", "scaffold", "personal_intercept", "personal"])
def test_a_federation_trains_the_model_of_the_plain_rounds(tmp_path: Path, name: str, protection: Protection) -> None:
    settings = {"rounds": 3, **({"sites": 4} if name == "scaffold" else {})}
    algorithm = make_algorithm(name, 3, settings)
    expected, _ = run_in_plain(algorithm, DATA, seed=0)
    federation = Federation(tmp_path, DATA)
    done = federation.coordinator().run(a_job(SITES, protection=protection), algorithm, seed=0)
    assert done.state.arrays["theta"] == pytest.approx(expected.arrays["theta"], abs=1e-5)
    assert len(done.rounds) == 3
    assert no_findings(federation)


def test_masked_and_plain_rounds_give_the_same_bits(tmp_path: Path) -> None:
    models = []
    for protection in Protection:
        federation = Federation(tmp_path / protection.value, DATA)
        job = a_job(SITES, protection=protection)
        models.append(federation.coordinator().run(job, NEWTON, seed=0).state.arrays["theta"])
    assert models[0].tobytes() == models[1].tobytes()


def run_until_done(federation: Federation, job: Job, algorithm: Algorithm) -> np.ndarray:
    """Start the coordinator again as often as it is killed."""
    for _ in range(50):
        try:
            return federation.coordinator().run(job, algorithm, seed=0).state.arrays["theta"]
        except Killed:
            continue
    raise AssertionError("the federation did not end")


def kills(at: int, *, before: bool, who: str) -> Callable[[str, bytes, Callable[[bytes], bytes]], bytes]:
    """At the `at`-th message: the hospital, the coordinator or both die before or after it is handled."""
    count = 0

    def change(site: str, request: bytes, handle: Callable[[bytes], bytes]) -> bytes:
        nonlocal count
        count += 1
        dies = count == at
        answer = b"" if dies and before else handle(request)
        if dies and who in ("site", "both"):
            current.restart(site)
            answer = b""
        if dies and who in ("coordinator", "both"):
            raise Killed
        return answer

    return change


current: Federation


@pytest.mark.parametrize("who", ["site", "coordinator", "both"])
@pytest.mark.parametrize("before", [True, False])
def test_killed_at_any_message_it_resumes_spends_nothing_twice_and_its_logs_verify(
    tmp_path: Path, who: str, before: bool
) -> None:
    global current
    rounds, sites = 2, SITES[:3]
    budget = Budget(1.0, 1e-3)
    mechanism = Mechanism(1.0, noise_for(budget, rounds + 3), 2)
    job = a_job(sites, mechanism=mechanism, budget=budget)
    algorithm = make_algorithm("dp_gradient", 3, {"rounds": rounds, "clip": 1.0, "expected_batch": 200.0})
    of_a_round = 5 * len(sites)
    messages = len(sites) + rounds * of_a_round  # the offer first
    # every second one: a round has an odd number of them, so that the second round has those that the first left out
    for at in range(1, messages + 1, 2):
        current = Federation(tmp_path / f"{at}", DATA[: len(sites)], change=kills(at, before=before, who=who))
        run_until_done(current, job, algorithm)
        assert no_findings(current)
        for site in sites:
            ledger = PrivacyLedger(current.folder / site / "study.jsonl", budget)
            keys = [key for key, _ in ledger.history()]
            assert len(keys) == len(set(keys)) <= rounds + 2, "a round was charged twice, or too many rounds"
            assert len(keys) >= (rounds if who == "coordinator" else rounds - 1), "a round was not charged"
            assert ledger.spent() <= budget.epsilon


def test_a_coordinator_killed_between_rounds_gives_the_bits_of_an_uninterrupted_run(tmp_path: Path) -> None:
    global current
    job = a_job(SITES)
    expected = Federation(tmp_path / "whole", DATA).coordinator().run(job, NEWTON, seed=0).state.arrays["theta"]
    for at in (5, 20, 26, 40):
        current = Federation(tmp_path / f"{at}", DATA, change=kills(at, before=False, who="coordinator"))
        assert run_until_done(current, job, NEWTON).tobytes() == expected.tobytes()


def test_with_a_hospital_silent_the_others_are_summed(tmp_path: Path) -> None:
    def silent(site: str, request: bytes, handle: Callable[[bytes], bytes]) -> bytes:
        return b"" if site == "site3" else handle(request)

    federation = Federation(tmp_path, DATA, change=silent)
    done = federation.coordinator().run(a_job(SITES), NEWTON, seed=0)
    expected, _ = run_in_plain(NEWTON, DATA[:3], seed=0)
    assert done.state.arrays["theta"] == pytest.approx(expected.arrays["theta"], abs=1e-5)
    assert {record.counted for record in done.rounds} == {SITES[:3]}


def test_too_few_hospitals_end_it_with_what_each_answered(tmp_path: Path) -> None:
    class Closed:
        def __init__(self, cohort: object) -> None: ...

        def admit(self, job: Job) -> object:
            raise ConfigError("no permit of that name here")

    federation = Federation(tmp_path, DATA, records=Closed)
    with pytest.raises(FederationRefused, match="site2: no permit of that name"):
        federation.coordinator().run(a_job(SITES), NEWTON, seed=0)


def test_rounds_that_give_no_sum_stall_and_the_checkpoint_goes_on(tmp_path: Path) -> None:
    broken = True

    def change(site: str, request: bytes, handle: Callable[[bytes], bytes]) -> bytes:
        nonlocal calls
        calls += 1
        return b"" if broken and calls > 30 and site != "site0" and calls % 7 else handle(request)

    calls = 0
    federation = Federation(tmp_path, DATA, change=change)
    with pytest.raises((FederationStalled, FederationRefused)):
        federation.coordinator().run(a_job(SITES), NEWTON, seed=0)
    broken = False
    done = federation.coordinator().run(a_job(SITES), NEWTON, seed=0)
    expected, _ = run_in_plain(NEWTON, DATA, seed=0)
    assert done.state.arrays["theta"] == pytest.approx(expected.arrays["theta"], abs=1e-4)


def test_privacy_that_the_sum_does_not_carry_is_refused() -> None:
    budget = Budget(1.0, 1e-3)
    for more in ({"colluding": 1}, {"protection": Protection.PLAIN}):
        with pytest.raises(ConfigError, match="noise is split over 3"):
            a_job(SITES, mechanism=Mechanism(1.0, 5.0, 3), budget=budget, **more)


def test_training_that_is_no_sum_over_records_is_refused_under_privacy(tmp_path: Path) -> None:
    budget = Budget(1.0, 1e-3)
    job = a_job(SITES, mechanism=Mechanism(1.0, 50.0, 3), budget=budget)
    with pytest.raises(FederationStalled, match="no sum"):
        Federation(tmp_path, DATA).coordinator().run(job, NEWTON, seed=0)
    why = (tmp_path / "site0" / "audit.jsonl").read_text()
    assert "not a sum over records" in why


def test_what_an_error_quotes_of_a_record_stays_at_its_hospital(tmp_path: Path) -> None:
    class Broken:
        def __init__(self, cohort: object) -> None: ...

        def admit(self, job: Job) -> object:
            raise InputError("got outcome 'Jane Doe, ill', expected 0 or 1", field="disease")

    federation = Federation(tmp_path, DATA, records=Broken)
    with pytest.raises(FederationRefused, match="site2: an error in what was read") as refused:
        federation.coordinator().run(a_job(SITES), NEWTON, seed=0)
    assert "Jane" not in str(refused.value)
    told = [path for path in tmp_path.rglob("*.jsonl") if "Jane" in path.read_text()]
    assert sorted(path.name for path in told) == ["notes.jsonl"] * 4


@pytest.mark.parametrize("output", [Output.STATISTICS, Output.METRICS])
def test_a_model_update_is_one_whatever_the_job_calls_it(tmp_path: Path, output: Output) -> None:
    federation = Federation(tmp_path, DATA)
    with pytest.raises(FederationStalled):
        federation.coordinator().run(a_job(SITES, output=output, protection=Protection.PLAIN), NEWTON, seed=0)
    entries = (tmp_path / "site0" / "audit.jsonl").read_text()
    assert f"newton_terms is model_update, this job is about {output.value}" in entries
    assert '"kind":"contribution"' not in entries


def test_an_order_of_another_length_is_refused_and_the_hospital_stays_up(tmp_path: Path) -> None:
    class Longer:
        rounds = 1
        init = staticmethod(NEWTON.init)
        step = staticmethod(NEWTON.step)

        def order(self, state: State) -> Order:
            order = NEWTON.order(state)
            return replace(order, length=order.length + 1)

    federation = Federation(tmp_path, DATA)
    with pytest.raises(FederationStalled):
        federation.coordinator().run(a_job(SITES), Longer(), seed=0)
    assert "the order says" in (tmp_path / "site0" / "audit.jsonl").read_text()
    assert federation.coordinator().run(a_job(SITES, federation="next"), NEWTON, seed=0).state.round == 4


@pytest.mark.parametrize("name", ["../outside", "permit P-2", "", "a/b", ".hidden"])
def test_a_federation_is_not_named_like_a_path(name: str) -> None:
    with pytest.raises(ConfigError, match="expected letters"):
        a_job(SITES, federation=name)
    with pytest.raises(ConfigError, match="trained"):
        a_job(SITES, trained="../../other")


def test_hospitals_in_turns_are_offered_the_job_once_and_pay_for_their_own_rounds_only(tmp_path: Path) -> None:
    budget = Budget(epsilon=1.0, delta=1e-3)
    mechanism = Mechanism(clip=1.0, noise_multiplier=noise_for(budget, 3), contributors=2)  # of four rounds
    job = a_job(SITES, minimum_sites=2, mechanism=mechanism, budget=budget)
    algorithm = make_algorithm("dp_descent", 3, {"rounds": 4, "expected_records": 75.0, "epochs": 5})
    federation = Federation(tmp_path, DATA)
    coordinator = federation.coordinator(pick=lambda round_, sites: [s for s in sites if s != sites[round_ % 4]])
    done = coordinator.run(job, algorithm, seed=0)
    assert [set(SITES) - set(record.counted) for record in done.rounds] == [{site} for site in SITES]
    for site in SITES:
        lines = (federation.folder / site / "audit.jsonl").read_text().splitlines()
        assert sum('"round_offered"' in line for line in lines) == 1
        ledger = PrivacyLedger(federation.folder / site / f"{job.federation}.jsonl", budget)
        assert len(list(ledger.history())) == 3
        assert 0.98 < ledger.spent() <= 1.0
    assert no_findings(federation)
