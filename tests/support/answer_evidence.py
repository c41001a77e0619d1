"""Passages for the tests of answers: documentation as the index has it, without indentation."""

from __future__ import annotations

from sixfold.systems.rag.answer.types import Evidence

WRAP = """shorten(text, width, **kwargs)
Collapse and truncate the given text to fit in the given width.
The text first has its whitespace collapsed.
wrap(text, width=70, **kwargs) -> list
Wrap a single paragraph of text, returning a list of wrapped lines.
Reformat the single paragraph in 'text' so it fits in lines of no
more than 'width' columns, and return a list of wrapped lines. By
default, tabs are expanded.
Data
__all__ = ['wrap', 'shorten']"""
LEXER = """Lexers for the Go language.
Classes
pygments.lexer.RegexLexer(pygments.lexer.Lexer)
class GoLexer(pygments.lexer.RegexLexer)
GoLexer(*args, **kwds)
For Go source.
Method resolution order:
builtins.object
Data and other attributes defined here:
name = 'Go'
url = 'https://go.dev/'"""
SIGNAL = """alarm(seconds, /)
Arrange for SIGALRM to arrive after the given number of seconds.
default_int_handler(signalnum, frame, /)
The default handler for SIGINT installed by Python.
It raises KeyboardInterrupt."""


def evidence(*texts: tuple[str, str]) -> list[Evidence]:
    """Passages of (title, text), best first."""
    return [
        Evidence(number, f"chunk-{number}", f"http://127.0.0.1/{number}.html", title, text, 1.0 / number, 0.6)
        for number, (title, text) in enumerate(texts, start=1)
    ]


PASSAGES = evidence(("Python: textwrap", WRAP), ("Python: pygments.lexers.go", LEXER), ("Python: signal", SIGNAL))
