"""When there is no answer: the confidence, its errors on questions it was not fitted to, and the reasons."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

import pytest
from answer_evidence import PASSAGES, evidence

from sixfold.errors import ConfigError
from sixfold.systems.rag.answer.abstain import THRESHOLD, Confidence, Features, assess, features_of
from sixfold.systems.rag.answer.calibrate import best_threshold, fit_confidence
from sixfold.systems.rag.answer.question import Question
from sixfold.systems.rag.answer.types import Evidence


class Row(NamedTuple):
    written: bool  # by hand, and not from a template
    development: bool
    answerable: bool
    found: bool  # the passages held the answer
    features: Features


def rows() -> list[Row]:
    """Features measured on 450 questions to an index of 337 pages, with 8 and with 16 passages each."""
    with (Path(__file__).parent / "calibration.csv").open() as file:
        return [
            Row(
                row["questions"] == "written",
                row["development"] == "1",
                row["answerable"] == "1",
                row["found"] == "1",
                Features(float(row["coverage"]), float(row["names"]), float(row["similarity"])),
            )
            for row in csv.DictReader(file)
        ]


def test_the_confidence_is_the_one_that_was_fitted_to_the_development_questions() -> None:
    used = [row for row in rows() if row.development and (row.found or not row.answerable)]
    written = sum(row.written for row in used)
    weights = [(len(used) - written) / written if row.written else 1.0 for row in used]
    features, answered = [row.features for row in used], [row.found for row in used]
    fitted = fit_confidence(features, answered, weights)
    kept = Confidence()
    for name in ("intercept", "coverage", "names", "similarity"):
        assert getattr(fitted, name) == pytest.approx(getattr(kept, name), abs=0.01)
    assert best_threshold(fitted, features, answered, weights) == THRESHOLD


@pytest.mark.parametrize(("written", "abstentions", "answers"), [(False, 0.02, 0.06), (True, 0.1, 0.1)])
def test_errors_on_the_other_questions(written: bool, abstentions: float, answers: float) -> None:
    held_out = [row for row in rows() if not row.development and row.written == written]
    confidence = Confidence()
    with_answer = [confidence.of(row.features) < THRESHOLD for row in held_out if row.found]
    without = [confidence.of(row.features) >= THRESHOLD for row in held_out if not row.answerable]
    assert sum(with_answer) / len(with_answer) <= abstentions
    assert sum(without) / len(without) <= answers


def judged(question: str, *, passages: object = PASSAGES) -> str:
    given = list(passages)  # type: ignore[call-overload]
    return assess(Question.of(question, None, [p.text for p in given]), given).reason


def test_an_answerable_question_has_no_reason_to_abstain() -> None:
    assert judged("What is the default value of the parameter width of textwrap.wrap?") == ""


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ("What does textwrap.frobnicate do?", "frobnicate"),
        ("What is the capital of Australia?", "Australia"),
        ("What does numpy.linspace return?", "numpy"),
        ("???", "no word"),
        ("", "no word"),
    ],
)
def test_reasons_name_what_is_missing(question: str, reason: str) -> None:
    assert reason in judged(question)


def test_without_passages_nothing_is_known() -> None:
    assert judged("What does textwrap.wrap do?", passages=[]) == "no passage was found"


def test_names_have_to_stand_in_one_passage() -> None:
    question = Question.of("signal.wrap", None, ["x"])
    apart = features_of(question, evidence(("Python: signal", "alarm"), ("Python: textwrap", "wrap")))
    together = features_of(question, evidence(("Python: signal", "wrap")))
    assert (apart.names, together.names) == (0.5, 1.0)


def test_unknown_similarity_is_taken_to_be_usual() -> None:
    bare = Evidence(1, "c", "u", "t", "alarm", 1.0)
    assert features_of(Question.of("alarm", None, ["alarm"]), [bare]).similarity == 0.5


def test_fitting_needs_both_kinds() -> None:
    with pytest.raises(ConfigError, match="one kind"):
        fit_confidence([Features(1.0, 1.0, 1.0)], [True])
