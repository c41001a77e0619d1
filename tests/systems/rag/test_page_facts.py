"""Facts: each stands where it says, and what is ambiguous is none."""

from __future__ import annotations

import pytest
from doc_pages import PAGES, page

from sixfold.systems.rag.page_facts import FactKind, module_of, page_facts

FACTS = page_facts(PAGES[0])


@pytest.mark.parametrize(
    ("kind", "name", "parameter", "answer"),
    [
        (FactKind.DEFAULT, "area", "height", "3"),
        (FactKind.DEFAULT, "area", "unit", "cm"),
        (FactKind.DEFAULT, "area", "parent", "None"),
        (FactKind.DEFAULT, "outline", "precision", "-1"),
        (FactKind.RETURNS, "area", "", "float"),
        (FactKind.RETURNS, "outline", "", "Optional[str]"),
        (FactKind.BASE, "Square", "", "Rectangle"),
        (FactKind.VALUE, "MAX_SIDES", "", "12"),
        (FactKind.VALUE, "UNIT_NAME", "", "cm"),
        (FactKind.PURPOSE, "area", "", "Return the area of a rectangle of this width and height."),
    ],
)
def test_facts(kind: FactKind, name: str, parameter: str, answer: str) -> None:
    (fact,) = [fact for fact in FACTS if (fact.kind, fact.name, fact.parameter) == (kind, name, parameter)]
    assert (fact.answer, fact.module) == (answer, "shapes")
    stated = PAGES[0].text[fact.start : fact.end]
    assert "\n" not in stated
    assert answer in stated


def test_what_is_ambiguous_or_unreadable_is_left_out() -> None:
    names = {fact.name for fact in FACTS}
    assert not names & {"twice", "broken", "Plain", "PATTERN", "__all__"}


def test_only_pages_of_modules_have_facts() -> None:
    assert module_of(PAGES[0]) == "shapes"
    assert module_of(PAGES[2]) is None
    assert page_facts(PAGES[2]) == []
    assert page_facts(page("Python: empty", "")) == []
