"""docs/laws.md and docs/glossary.md say what the docstrings say."""

from __future__ import annotations

from pathlib import Path

import pytest

from sixfold.design.handbook import glossary_page, laws_page

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(("name", "made"), [("laws.md", laws_page), ("glossary.md", glossary_page)])
def test_a_generated_page_is_up_to_date(name: str, made: object) -> None:
    assert callable(made)
    assert (DOCS / name).read_text(encoding="utf-8") == made(), "run: sixfold design handbook docs"


def test_every_law_says_what_it_returns_and_most_say_who_found_it() -> None:
    laws = [line for line in laws_page().splitlines() if line.startswith("- **")]
    assert len(laws) > 100
    assert all(len(line.split("**")[2].strip()) > 15 for line in laws)
    assert sum("*" in line.split("**")[2] or "(" in line for line in laws) > 0.6 * len(laws)


def test_the_glossary_has_symbols_and_vocabulary() -> None:
    page = glossary_page()
    for term in ("| E(p) |", "| lambda2 |", "| trust (ceiling) |", "| batch (mode) |", "| regret |"):
        assert term in page
