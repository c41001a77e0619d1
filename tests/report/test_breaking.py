"""What is lost is attributed whole, and the largest part is named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.axes import Axis
from sixfold.report.breaking import Outcome, against_prediction, explain, lost_time, predicted_parts
from sixfold.report.record import Record
from sixfold.study.meter import Part
from sixfold.study.milestone import Prediction
from sixfold.study.row import Row
from sixfold.study.run_folder import RunFolder

PARTS = st.floats(min_value=0.01, max_value=100)


def make(workers: int, times_s: list[float], work: float = 1733) -> Row:
    names = ("compute_s", "communication_s", "idle_s", "rework_s")
    return Row(
        stage="s", axis=Axis.DATA, workers=workers, repeat=0, wall_s=sum(times_s),
        **dict(zip(names, times_s, strict=True)), moved_bytes=0, work=work, work_unit="pages", quality=1.0,
        quality_metric="F1", cost_usd=1.0, config="c",
    )  # fmt: skip


@given(
    st.lists(PARTS, min_size=4, max_size=4), st.lists(PARTS, min_size=4, max_size=4), st.integers(1, 64),
    st.floats(min_value=1, max_value=1e4),
)  # fmt: skip
def test_the_parts_of_the_loss_are_the_loss(base: list[float], scaled: list[float], p: int, work: float) -> None:
    baseline, row = make(0, base), make(p, scaled, work)
    loss = lost_time(row, baseline)
    assert loss is not None
    assert sum(part.lost_s for part in loss.parts) == pytest.approx(loss.lost_s, rel=1e-6, abs=1e-6)
    assert 1 - loss.share == pytest.approx(row.efficiency(baseline))
    assert loss.largest.lost_s == max(part.lost_s for part in loss.parts)
    assert explain(loss, 0.7)


@pytest.mark.parametrize(
    ("times_s", "outcome", "said"),
    [
        ([50.5, 0.0, 0.0, 0.0], Outcome.HOLDS, "as good as linear"),
        (
            [50.0, 2.0, 5.0, 1.0],
            Outcome.LOSES,
            "Idle time takes the largest share: 10.0 s; then communication, 4",
        ),
        ([50.0, 40.0, 5.0, 1.0], Outcome.BROKE, "Communication takes the largest share: 80.0 s"),
        ([80.0, 1.0, 1.0, 0.0], Outcome.BROKE, "Extra compute takes the largest share: 60.0 s"),
        ([50.0, 0.0, 0.0, 30.0], Outcome.BROKE, "Rework takes the largest share"),
        ([30.0, 0.0, 0.0, 0.0], Outcome.SUPERLINEAR, "bug report"),
    ],
)
def test_the_term_that_broke_scaling_is_named(times_s: list[float], outcome: Outcome, said: str) -> None:
    loss = lost_time(make(2, times_s), make(0, [100.0, 0.0, 0.0, 0.0]))
    assert loss is not None
    assert loss.outcome(0.70) is outcome
    assert said in explain(loss, 0.70)


def test_a_run_that_did_nothing_has_no_loss() -> None:
    assert lost_time(make(2, [1.0, 0, 0, 0], work=0), make(0, [1.0, 0, 0, 0])) is None


def test_terms_that_name_a_part_are_held_against_it(run: RunFolder) -> None:
    prediction = Prediction(2, 3.0, "law", {"compute_s": 1.0, "Communication alpha": 1.5, "serial": 0.5})
    assert predicted_parts(prediction) == {Part.COMPUTE: 1.0, Part.COMMUNICATION: 1.5}
    index = next(rung for rung in Record.read(run).rungs if rung.name == "index")
    assert against_prediction(index) == (
        "Predicted 3.42 s, measured 3.93 s (+14.7 %); the term furthest off is idle: 0 s predicted, 245 ms measured."
    )
