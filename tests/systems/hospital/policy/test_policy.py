"""Promises of permits and opt-outs: a hospital says no unless everything says yes, and says which field forbids it."""

import datetime
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
    ],
)
def test_one_thing_more_than_the_permit_allows_is_refused_by_its_field(field: str, change: dict[str, object]) -> None:
    reasons = decide(replace(REQUEST, **change), PERMIT, TRUSTED, NOW).reasons
    assert [reason.split(":")[0] for reason in reasons] == [field]


@pytest.mark.parametrize("days", [-2, 1, 400])
def test_a_permit_counts_only_while_it_is_in_force(days: int) -> None:
    assert decide(REQUEST, PERMIT, TRUSTED, NOW + datetime.timedelta(days=days)).reasons[0].startswith("expires")


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
    ],
)
def test_an_unclear_register_is_none(tmp_path: Path, text: str | None, where: str) -> None:
    path = tmp_path / "opt_out.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=where):
        read_opt_outs(path)
