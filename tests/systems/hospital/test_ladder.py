"""Promises of the ladder: six stages pass on the embedded hospitals; its attacks win where a guard is gone."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from made_profile import make_profile

from sixfold.study import Length
from sixfold.study.runner import Options, run_study, summarise
from sixfold.systems import load_system
from sixfold.systems.hospital.federation.site_state import SiteState


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    options = Options(workers=(1,), length=Length.QUICK, seed=0, keep_going=True)
    result = run_study(load_system("hospital"), options, make_profile(), runs=tmp_path_factory.mktemp("runs"))
    return {"summary": summarise(result), "folder": result.folder}


def test_every_milestone_of_a_quick_study_is_passed(run: dict[str, object]) -> None:
    milestones = run["summary"]["milestones"]  # type: ignore[index]
    assert [m["stage"] for m in milestones] == ["fedavg", "heterogeneity", "privacy", "secure", "monitor", "gate"]
    failed = {m["stage"]: [c for c in m["checks"] if not c["holds"]] for m in milestones if not m["passed"]}
    assert not failed
    json.dumps(run["summary"])


def test_more_privacy_costs_accuracy(run: dict[str, object]) -> None:
    (row,) = run["folder"].panel().of("privacy", 1)  # type: ignore[attr-defined]
    assert row.extra["auroc_at_epsilon_8"] >= row.extra["auroc_at_epsilon_1"] >= row.extra["auroc_at_epsilon_0.1"]


def test_an_attack_wins_where_a_hospital_signs_any_list_of_survivors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def agree(self: SiteState, round_: int, survivors: Sequence[str]) -> None:
        """Does not remember whom it was summed with."""

    monkeypatch.setattr(SiteState, "agree", agree)
    options = Options(workers=(1,), length=Length.QUICK, seed=0, stage="secure")
    result = run_study(load_system("hospital"), options, make_profile(), runs=tmp_path)
    (verdict,) = result.verdicts
    assert not verdict.passed
    assert not next(check for check in verdict.checks if check.name == "one sum a round").holds
