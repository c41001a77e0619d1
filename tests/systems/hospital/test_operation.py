"""Promises of operation: what is released was judged and signed, patients are watched, and people decide."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from federation_run import Federation, a_job, cohorts
from operated_federation import ALGORITHM, DECIDER, LENIENT, PATIENTS, Growing, Running, run

from sixfold.errors import InputError
from sixfold.files import read_json, read_json_lines
from sixfold.systems.hospital.audit.verify import verify_logs
from sixfold.systems.hospital.federation.coordinator import FederationRefused
from sixfold.systems.hospital.federation.reporting import judging_order
from sixfold.systems.hospital.monitor import Phase, Policy
from sixfold.systems.hospital.operation.in_force import MOST_REPORTED
from sixfold.systems.hospital.operation.release import BACKBONE, EVIDENCE, Release, read_release
from sixfold.systems.hospital.operation.steward import ReleaseBlocked, Steward, in_force


@pytest.fixture
def running(tmp_path: Path) -> Running:
    return run(tmp_path)


def test_a_release_is_signed_by_all_and_in_force_at_each(running: Running) -> None:
    release = running.candidate()
    assert running.steward.release(release).signed == tuple(running.federation.sites)
    home = running.steward.folder / release.digest[:16]
    read, signers = read_release(home, running.coordinator.kit.roster)
    assert read.digest == release.digest
    assert set(signers) == {"coordinator", *running.federation.sites}
    for site in running.federation.sites.values():
        assert site.in_force.named(release.digest).theta_P.tolist() == release.theta_P.tolist()
    assert running.steward.release(release).signed == tuple(running.federation.sites)  # again, as after a crash
    assert len(list(read_json_lines(home / "events.jsonl"))) == 4
    assert not verify_logs(running.federation.logs, running.coordinator.kit.roster).findings


def test_a_coordinator_that_dies_among_the_signatures_releases_the_same_model(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made anew, it would have other heads in its evidence, and be another release than that which hospitals signed."""
    release = running.candidate()
    with monkeypatch.context() as patch:
        patch.setattr("sixfold.systems.hospital.operation.steward.write_release", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            running.steward.release(release)
    assert running.federation.sites["site0"].in_force.named(release.digest)
    coordinator = running.federation.coordinator()
    anew = replace(running, coordinator=coordinator, steward=Steward(coordinator, running.steward.folder))
    again = anew.candidate()
    assert again.digest == release.digest
    assert anew.steward.release(again).signed == tuple(running.federation.sites)


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("name", [BACKBONE, "policy.json", EVIDENCE, "signatures.json"])
def test_a_release_that_was_changed_is_none(running: Running, name: str) -> None:
    release = running.candidate()
    running.steward.release(release)
    path = running.steward.folder / release.digest[:16] / name
    data = path.read_bytes()
    at = data.index(b"0", len(data) // 2) if b"0" in data[len(data) // 2 :] else len(data) - 1
    path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    with pytest.raises(InputError):
        in_force(running.steward.folder, running.coordinator.kit.roster)


def test_what_the_gate_blocks_is_sent_to_nobody(running: Running) -> None:
    strict = running.candidate(gate=replace(LENIENT, floor=0.99))
    with pytest.raises(ReleaseBlocked, match=r"accuracy .* below 0.99"):
        running.steward.release(strict)
    assert read_json(running.steward.folder / "blocked.json")["release"] == strict.digest
    assert running.candidate().gate == LENIENT  # what was blocked is not what is released later
    assert all(site.in_force.current() is None for site in running.federation.sites.values())


def altered(release: Release, change: str) -> Release:
    reports: dict[str, Mapping[str, Any]] = dict(release.reports)
    match change:
        case "a report of another":
            reports["site0"] = {**reports["site0"], "ill": 1 + reports["site0"]["ill"]}
            return replace(release, reports=reports)
        case "another's report made up":
            better = {**reports["site1"], "ece": 0.0}
            return replace(release, reports={**reports, "site1": better})
        case "cells of two patients":
            return replace(release, plan=replace(release.plan, least_count=2))
        case "a report left out":
            return replace(release, reports={site: said for site, said in reports.items() if site != "site0"})
        case "other parameters":
            return replace(release, theta_P=release.theta_P + 1.0)
        case "blocked":
            return replace(release, gate=replace(release.gate, floor=0.99))
        case "nobody":
            return replace(release, person=" ")
        case _:
            raise AssertionError(change)


@pytest.mark.parametrize(
    "change",
    [
        "a report of another",
        "another's report made up",
        "a report left out",
        "other parameters",
        "cells of two patients",
        "blocked",
        "nobody",
    ],
)
def test_a_hospital_signs_no_release_that_is_not_what_it_judged(running: Running, change: str) -> None:
    """A coordinator that lies is refused by the hospitals themselves."""
    from sixfold.systems.hospital.federation.messages import Phase as Step

    release = altered(running.candidate(), change)
    answers, refusals = running.coordinator.tell(release.job.judging, Step.RELEASE, {"files": release.files()})
    assert "site0" in refusals
    assert "site0" not in answers
    assert running.federation.sites["site0"].in_force.current() is None


def test_a_hospital_reports_on_few_parameters_of_one_training(running: Running) -> None:
    """Exact answers about many slightly different models could be solved for single patients."""
    job, model = running.job.judging, ALGORITHM.model
    theta_P = running.finished.state.arrays["theta"]
    for at in range(MOST_REPORTED):
        for _ in range(2):  # again is not another
            said = running.coordinator.reports(job, judging_order(model, theta_P + 0.01 * at, 0.8))
            assert said.keys() == running.federation.sites.keys()
    assert running.coordinator.reports(job, judging_order(model, theta_P - 0.01, 0.8)) == {}
    release = running.candidate()  # of parameters that were reported on before
    assert running.steward.release(release).signed == tuple(running.federation.sites)


def test_a_shift_is_an_alarm_and_only_a_person_has_the_model_retrained(running: Running) -> None:
    release = running.alarmed()
    anew = a_job(list(running.federation.sites), minimum_sites=3, federation="study-2", replaces=release.digest)
    with pytest.raises(FederationRefused, match="after a named person has decided"):
        running.coordinator.run(anew, ALGORITHM, 0)
    with pytest.raises(InputError, match="named person"):
        running.steward.answer(running.answer(release).model_copy(update={"person": " "}).sign(DECIDER))
    assert running.steward.answer(running.answer(release)) == {}
    with pytest.raises(FederationRefused, match="only a job that says it replaces it"):
        running.coordinator.run(replace(anew, replaces=""), ALGORITHM, 0)
    finished = running.coordinator.run(anew, ALGORITHM, 0)
    second = replace(running, finished=finished).candidate(period=4)
    assert second.replaces == release.digest
    running.steward.release(second)
    assert {state.phase for state in running.steward.watch(5).values()} <= {Phase.QUIET, Phase.WARNED, Phase.ALARMED}
    assert running.federation.sites["site0"].in_force.named(second.digest)
    assert not verify_logs(running.federation.logs, running.coordinator.kit.roster).findings


def test_a_decision_counts_only_with_the_signature_of_somebody_who_may_decide(running: Running) -> None:
    release = running.alarmed()
    forged = running.answer(release).sign(Ed25519PrivateKey.generate())
    with pytest.raises(Exception, match="none of those who may decide"):
        running.steward.answer(forged)
    assert running.steward.states()["site3"].phase is Phase.ALARMED


def test_without_an_alarm_nobody_is_told_a_decision(running: Running) -> None:
    release = running.candidate()
    running.steward.release(release)
    with pytest.raises(InputError, match="no alarm"):
        running.steward.answer(running.answer(release, period=0))
    assert running.federation.sites["site0"].in_force.current() is not None


def test_a_model_that_is_withdrawn_is_in_force_nowhere(running: Running) -> None:
    release = running.alarmed()
    running.steward.answer(running.answer(release, action="withdraw"))
    assert all(site.in_force.current() is None for site in running.federation.sites.values())
    with pytest.raises(InputError, match="no release is in force"):
        running.steward.watch(5)


def test_a_period_is_told_once_whoever_comes_or_goes_later_and_states_outlast_a_crash(tmp_path: Path) -> None:
    first = run(tmp_path)
    release = first.candidate()
    first.steward.release(release)
    before = first.steward.watch(1)
    events = first.steward.folder / release.digest[:16] / "events.jsonl"
    lines = events.read_text().splitlines()
    events.write_text("\n".join(lines[:-1]) + "\n")  # killed before what came was written down
    again = Federation(tmp_path, cohorts(4, PATIENTS, seed=9), records=Growing, trusted=[DECIDER.public_key()])
    steward = Steward(again.coordinator(), first.steward.folder)
    assert steward.watch(1) == before
    assert not any(1 in site.records.asked for site in again.sites.values())  # type: ignore[attr-defined]
    assert json.loads(events.read_text().splitlines()[-1]) == json.loads(lines[-1])


def test_a_hospital_without_a_table_of_the_period_was_silent(running: Running) -> None:
    running.steward.release(running.candidate(watch=Policy(most_silent=1), period=8))
    states = running.steward.watch(9)
    assert all("not reported" in state.reasons[0] for state in states.values())
    with pytest.raises(InputError, match="expected 10"):
        running.steward.watch(9)


class Killed(BaseException):
    """Not an error that anybody catches."""


def operate(running: Running) -> None:
    """From wherever the folder stands to a decision on the alarm."""
    steward = running.steward
    if in_force(steward.folder, running.coordinator.kit.roster) is None:
        steward.release(running.candidate())
    while (states := steward.states())["site3"].period < 4:
        steward.watch()
    if states["site3"].phase is Phase.ALARMED:
        release = in_force(steward.folder, running.coordinator.kit.roster)
        assert release is not None
        steward.answer(running.answer(release))


def outcome(running: Running) -> Any:
    """What must not depend on who was killed: the digest does, as its evidence holds heads of logs."""
    home = next(path.parent for path in running.steward.folder.glob("*/events.jsonl"))
    events = [{**event, "answer": None} for event in read_json_lines(home / "events.jsonl")]
    answers = {
        site: [line["action"] for line in read_json_lines(where.in_force.folder / home.name / "answers.jsonl")]
        for site, where in running.federation.sites.items()
    }
    return events, answers, running.steward.states()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_whoever_is_killed_at_whatever_message_it_goes_on_to_the_same_end(tmp_path: Path, after: bool) -> None:
    whole = run(tmp_path / "whole")
    messages = [0]
    whole.federation.change = counted(messages, None, after)
    operate(whole)
    expected = outcome(whole)
    for at in range(0, messages[0], 7):
        home = tmp_path / str(at)
        killed = run(home)
        killed.federation.change = counted([0], at, after)
        with pytest.raises(Killed):
            operate(killed)
        federation = Federation(home, cohorts(4, PATIENTS), records=Growing, trusted=[DECIDER.public_key()])
        coordinator = federation.coordinator()
        again = replace(
            killed, federation=federation, coordinator=coordinator, steward=Steward(coordinator, killed.steward.folder)
        )
        operate(again)
        assert outcome(again) == expected, at
        assert not verify_logs(federation.logs, coordinator.kit.roster).findings, at


def counted(messages: list[int], kill_at: int | None, after: bool) -> Callable[[str, bytes, Any], bytes]:
    """Counts messages, and dies at one of them, before or after the hospital has handled it."""

    def change(site: str, request: bytes, handle: Callable[[bytes], bytes]) -> bytes:
        messages[0] += 1
        die = messages[0] - 1 == kill_at
        if die and not after:
            raise Killed
        answer = handle(request)
        if die:
            raise Killed
        return answer

    return change
