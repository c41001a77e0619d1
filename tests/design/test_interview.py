"""The questions behind a spec: in the playbook's order, asked again until an answer will do."""

from __future__ import annotations

from pathlib import Path

import pytest

from sixfold.design.interview import Interview, interview
from sixfold.design.spec import load_spec

ANSWERS = {
    "name": ["Scores"],
    "ambition": ["Score every payment."],
    "kind": ["magic", "online-inference"],
    "requests_per_s": ["", "many", "5e4"],
    "cpu_s": ["-1", "0.0012"],
    "model_bytes": ["4e8"],
    "optimise": ["cost"],
    "latency_s": ["0.02"],
    "usd_per_month": ["60000"],
    "machines": ["aws-x99", "aws-c5-2xlarge, aws-c5-xlarge"],
}


class Person:
    """Types the answers in turn, and takes the default where there are none left."""

    def __init__(self) -> None:
        self.left = {name: list(typed) for name, typed in ANSWERS.items()}
        self.asked: list[str] = []
        self.told: list[str] = []

    def ask(self, words: str, default: str) -> str:
        self.asked.append(words)
        assert len(self.asked) < 200, "it asks for ever"
        return self.left[words].pop(0) if self.left.get(words) else default


@pytest.fixture(scope="module")
def done() -> tuple[Person, Interview]:
    person = Person()
    return person, interview(ask=person.ask, tell=person.told.append)


def test_the_order_is_that_of_the_playbook(done: tuple[Person, Interview]) -> None:
    person, _ = done
    firsts = [
        person.asked.index(name)
        for name in ("ambition", "kind", "requests_per_s", "optimise", "usd_per_month", "machines")
    ]
    assert firsts == sorted(firsts)
    assert any("requests_per_s: at the peak" in told for told in person.told), "each field is explained"


def test_an_answer_that_will_not_do_is_asked_for_again(done: tuple[Person, Interview]) -> None:
    person, found = done
    assert not any(person.left.values())
    assert found.spec.workload.requests_per_s == 50_000
    assert found.spec.platform.machines == ("aws-c5-2xlarge", "aws-c5-xlarge")
    assert found.spec.budget.nodes is None


def test_what_was_answered_is_a_spec_that_can_be_read_again(done: tuple[Person, Interview], tmp_path: Path) -> None:
    _, found = done
    path = tmp_path / "spec.yaml"
    path.write_text(found.to_yaml(), encoding="utf-8")
    assert load_spec(path) == found.spec
