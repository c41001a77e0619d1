"""What lines of documentation state by their form."""

from __future__ import annotations

import pytest

from sixfold.parts.signatures import form_of, split_parameters, values_of


@pytest.mark.parametrize(
    ("line", "name", "bindings", "returned", "bases"),
    [
        ("wrap(text, width=70, **kwargs)", "wrap", {"width": "70"}, "", ()),
        ("f(a: int = 3, b: Optional[str] = None) -> 'str'", "f", {"a": "3", "b": "None"}, "str", ()),
        ("open(file, *, mode='r')", "open", {"mode": "r"}, "", ()),
        ("def area(width, height=3):", "area", {"height": "3"}, "", ()),
        ("today = now(tz=None) -> datetime", "today", {"tz": "None"}, "datetime", ()),
        ("class GoLexer(pygments.lexer.RegexLexer)", "GoLexer", {}, "", ("RegexLexer",)),
        ("class Plain", "Plain", {}, "", ()),
        ("EASTER_WESTERN = 3", "EASTER_WESTERN", {"EASTER_WESTERN": "3"}, "", ()),
        ("MODE = 'r'", "MODE", {"MODE": "r"}, "", ()),
        ("width (default: 70)", "", {"width": "70"}, "", ()),
        ("The width defaults to 70 columns.", "", {"width": "70"}, "", ()),
        ("Wrap a single paragraph of text.", "", {}, "", ()),
        ("", "", {}, "", ()),
        ("f(" + "x" * 5_000 + ")", "", {}, "", ()),
    ],
)
def test_form(line: str, name: str, bindings: dict[str, str], returned: str, bases: tuple[str, ...]) -> None:
    form = form_of(line)
    assert (form.name, form.bindings, form.returned, form.bases) == (name, bindings, returned, bases)


def test_what_a_form_implies_is_what_it_states() -> None:
    assert "default" in form_of("f(a=1)").implied
    assert "default" not in form_of("f(a)").implied
    assert "return" in form_of("f() -> int").implied
    assert "return" not in form_of("f()").implied
    assert "inherit" in form_of("class A(B)").implied
    assert not form_of("A sentence.").implied


def test_values_of_a_sentence() -> None:
    assert values_of("The default of width is 70, of mode 'r', of tz None; it's 2.5 times as long.") == {
        "70", "r", "none", "2.5",
    }  # fmt: skip


def test_parameters_and_their_defaults() -> None:
    assert split_parameters("self, a: Dict[str, int] = {}, /, b=(1, 2), *args, c: 'x, y' = ',', **kwds") == [
        ("self", ""), ("a", "{}"), ("b", "(1, 2)"), ("args", ""), ("c", "','"), ("kwds", ""),
    ]  # fmt: skip
    assert split_parameters("") == []
    assert split_parameters("a=[1, 2") == [("a", "[1, 2")]


@pytest.mark.timeout(5)
@pytest.mark.parametrize(
    "line", ["f(" + "a:" * 950 + ")", "f(" + "a:[b]" * 300 + ")", "f(a:" + "[" * 1_900 + ")", "a" * 1_990, "aA_" * 600]
)
def test_lines_that_make_expressions_slow_are_read_at_once(line: str) -> None:
    form_of(line)  # it took 10 s and more where repetitions were nested
    values_of(line)
