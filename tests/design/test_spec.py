"""Specs are refused with the line, the field and the reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from sixfold.design.spec import load_spec
from sixfold.errors import InputError

EXAMPLES = Path(__file__).parents[2] / "examples"
GOOD = """name: Scores
ambition: Score every payment.
kind: online-inference
workload:
  requests_per_s: 1e3
  cpu_s: 0.001
  model_bytes: 1.0e+8
objective:
  optimise: cost
  latency_s: 0.02
"""


def refused(tmp_path: Path, text: str) -> str:
    path = tmp_path / "spec.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_spec(path)
    return str(caught.value).replace(str(path), "spec.yaml")


def test_a_spec_is_read_with_its_defaults(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(GOOD, encoding="utf-8")
    spec = load_spec(path)
    assert spec.workload.requests_per_s == 1000
    assert spec.platform.terms == ("on-demand",)
    assert spec.to_json()["objective"]["optimise"] == "cost"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("kind: online-inference", "kind: magic", "spec.yaml:3 [kind]: got 'magic', expected one of text-retrieval"),
        ("cpu_s: 0.001", "cpu_s: -1", "spec.yaml:6 [workload.cpu_s]: got -1, expected input should be greater than 0"),
        ("cpu_s: 0.001", "cpu: 0.001", "spec.yaml:4 [workload.cpu_s]: missing"),
        ("latency_s: 0.02", "latency_s: .nan", "spec.yaml:10 [objective.latency_s]"),
        ("optimise: cost", "optimise: beauty", "spec.yaml:9 [objective.optimise]"),
        ("name: Scores\n", "", "spec.yaml:1 [name]: missing"),
        ("model_bytes: 1.0e+8", "model_bytes: 1.0e+8\n  model_bytes: 2", "spec.yaml:8 [model_bytes]: given twice"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, old: str, new: str, told: str) -> None:
    assert refused(tmp_path, GOOD.replace(old, new)).startswith(told)


def test_machines_and_links_that_nobody_lists_are_refused_with_those_that_there_are(tmp_path: Path) -> None:
    assert "aws-c5-2xlarge" in refused(tmp_path, GOOD + "platform:\n  machines: [aws-x99]\n")
    assert "eth-10" in refused(tmp_path, GOOD + "platform:\n  link: string\n")


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_example_is_a_spec(path: Path) -> None:
    assert load_spec(path).ambition
