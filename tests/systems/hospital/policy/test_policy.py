"""Promises of permits and opt-outs: a hospital says no unless everything says yes, and says which field forbids it."""

import datetime
import math
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from sixfold.errors import InputError
from sixfold.systems.hospital.policy.decide import Request, decide, enough
from sixfold.systems.hospital.policy.opt_out import read_opt_outs
from sixfold.systems.hospital.policy.permit import Permit, Purpose, load_permit, sign_permit, write_permit

NOW = datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)
AUTHORITY = Ed25519PrivateKey.from_private_bytes(b"a" * 32)
STRANGER = Ed25519PrivateKey.from_private_bytes(b"s" * 32)
PERMIT = sign_permit(
    Permit(
        id="P-1",
        dataset="hearts",
        purpose=Purpose.SCIENTIFIC_RESEARCH,
        holder="a university",
        issued_by="an authority",
        not_before=NOW - datetime.timedelta(days=1),
        expires=NOW + datetime.timedelta(days=1),
        outputs=("statistics", "model_update"),
        features=("age", "sex"),
        minimum_cohort=20,
        minimum_sites=3,
        masked=True,
        epsilon=1.0,
        delta=1e-3,
    ),
    AUTHORITY,
)
REQUEST = Request("P-1", "hearts", "scientific-research", "model_update", ("age",), 3, True, 1.0, 1e-3)
TRUSTED = (AUTHORITY.public_key(),)


def test_what_the_permit_allows_is_allowed() -> None:
    assert decide(REQUEST, PERMIT, TRUSTED, NOW).allowed
    assert enough(PERMIT, 20).allowed


def test_no_permit_no_answer() -> None:
    assert decide(REQUEST, None, TRUSTED, NOW).reasons == ("id: there is no permit 'P-1' here: no permit, no answer",)


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("id", {"permit": "P-2"}),
        ("dataset", {"dataset": "lungs"}),
        ("purpose", {"purpose": "marketing"}),
        ("purpose", {"purpose": "education"}),
        ("outputs", {"output": "metrics"}),
        ("features", {"features": ("age", "postcode")}),
        ("minimum_sites", {"minimum_sites": 2}),
        ("masked", {"masked": False}),
        ("epsilon", {"epsilon": 1.01}),
        ("epsilon", {"epsilon": None, "delta": None}),
        ("delta", {"delta": 2e-3}),
        ("epsilon", {"epsilon": math.nan}),
        ("epsilon", {"epsilon": math.inf}),
        ("epsilon", {"epsilon": 0.0}),
        ("epsilon", {"epsilon": -1.0}),
        ("delta", {"delta": math.nan}),
        ("delta", {"delta": -1e-3}),
        ("minimum_sites", {"minimum_sites": math.nan}),
    ],
)
def test_one_thing_more_than_the_permit_allows_is_refused_by_its_field(field: str, change: dict[str, object]) -> None:
    reasons = decide(replace(REQUEST, **change), PERMIT, TRUSTED, NOW).reasons
    assert [reason.split(":")[0] for reason in reasons] == [field]


@pytest.mark.parametrize(
    ("days", "field"), [(-400, "not_before"), (-2, "not_before"), (1, "expires"), (400, "expires")]
)
def test_a_permit_counts_only_while_it_is_in_force(days: int, field: str) -> None:
    reasons = decide(REQUEST, PERMIT, TRUSTED, NOW + datetime.timedelta(days=days)).reasons
    assert [reason.split(":")[0] for reason in reasons] == [field]


def words(*but: str) -> st.SearchStrategy[str]:
    return st.text(max_size=20).filter(lambda text: text not in but)


MUTATIONS = st.one_of(
    st.tuples(st.just("id"), st.fixed_dictionaries({"permit": words("P-1")})),
    st.tuples(st.just("dataset"), st.fixed_dictionaries({"dataset": words("hearts")})),
    st.tuples(st.just("purpose"), st.fixed_dictionaries({"purpose": words("scientific-research")})),
    st.tuples(st.just("outputs"), st.fixed_dictionaries({"output": words(*PERMIT.outputs)})),
    st.tuples(st.just("features"), st.fixed_dictionaries({"features": st.tuples(st.just("age"), words("age", "sex"))})),
    st.tuples(st.just("minimum_sites"), st.fixed_dictionaries({"minimum_sites": st.integers(max_value=2)})),
    st.tuples(st.just("masked"), st.fixed_dictionaries({"masked": st.just(False)})),
    st.tuples(
        st.just("epsilon"),
        st.fixed_dictionaries({"epsilon": st.none() | st.floats().filter(lambda value: not 0 < value <= 1)}),
    ),
    st.tuples(
        st.just("delta"), st.fixed_dictionaries({"delta": st.floats().filter(lambda value: not 0 < value <= 1e-3)})
    ),
)


@given(MUTATIONS)
def test_any_request_that_differs_in_one_thing_is_refused_by_that_field(
    mutation: tuple[str, dict[str, object]],
) -> None:
    field, change = mutation
    decision = decide(replace(REQUEST, **change), PERMIT, TRUSTED, NOW)  # type: ignore[arg-type]
    assert not decision.allowed
    assert [reason.split(":")[0] for reason in decision.reasons] == [field]


@pytest.mark.parametrize("output", ["statistics", "metrics"])
def test_aggregates_need_neither_mask_nor_privacy_but_the_permit_has_to_list_them(output: str) -> None:
    request = replace(REQUEST, output=output, masked=False, epsilon=None, delta=None)
    assert decide(request, PERMIT, TRUSTED, NOW).allowed is (output == "statistics")


@given(
    st.sampled_from(
        [
            {"minimum_cohort": 1},
            {"epsilon": 100.0},
            {"masked": False},
            {"expires": NOW + datetime.timedelta(days=900)},
            {"purpose": Purpose.CARE},
            {"outputs": ("statistics", "model_update", "metrics")},
            {"signature": "00" * 64},
            {"signature": ""},
            {"signature": "zz"},
        ]
    )
)
def test_a_permit_that_was_changed_after_it_was_signed_counts_for_nothing(change: dict[str, object]) -> None:
    reasons = decide(REQUEST, PERMIT.model_copy(update=change), TRUSTED, NOW).reasons
    assert any(reason.startswith("signature") for reason in reasons)


def test_a_permit_of_somebody_else_counts_for_nothing() -> None:
    assert not decide(REQUEST, sign_permit(PERMIT, STRANGER), TRUSTED, NOW).allowed
    assert not decide(REQUEST, PERMIT, (), NOW).allowed


def test_too_few_patients_are_no_cohort() -> None:
    assert enough(PERMIT, 19).reasons == ("minimum_cohort: fewer than 20 patients are left",)


def test_a_permit_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_permit(tmp_path / "P-1.yaml", PERMIT)
    assert load_permit(tmp_path / "P-1.yaml") == PERMIT


def test_a_purpose_outside_the_closed_list_is_named_with_line_and_field(tmp_path: Path) -> None:
    path = tmp_path / "P-1.yaml"
    write_permit(path, PERMIT)
    path.write_text(path.read_text().replace("scientific-research", "advertising"))
    with pytest.raises(InputError, match=r"P-1\.yaml:3 \[purpose\]"):
        load_permit(path)


def test_the_register_of_opt_outs_is_read(tmp_path: Path) -> None:
    path = tmp_path / "opt_out.csv"
    path.write_text("patient,date\np1,2026-01-02\np2,2026-03-04\n")
    assert read_opt_outs(path) == {"p1", "p2"}
    path.write_text("patient,date\n")
    assert read_opt_outs(path) == frozenset()


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (None, "no opt-out register"),
        ("", ":1"),
        ("id\n", ":1"),
        ("patient,date\np1\n", ":2"),
        ("patient,date\np1,soon\n", ":2"),
        ("patient,date\n,2026-01-02\n", ":2"),
        ("patient,date\np1,2026-01-02\n\n", ":3"),
        ('patient,date\n"p\n1",2026-01-02\np2,soon\n', ":4"),
        ('patient,date\n"p1"x,2026-01-02\n', "cannot be read"),
        ('patient,date\n"p1,2026-01-02\n', "cannot be read"),
    ],
)
def test_an_unclear_register_is_none(tmp_path: Path, text: str | None, where: str) -> None:
    path = tmp_path / "opt_out.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=where):
        read_opt_outs(path)
