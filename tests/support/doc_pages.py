"""Pages of documentation as documents of a build, small enough to read."""

from __future__ import annotations

from sixfold.systems.rag.records import Document, Source, document_id

SHAPES = """Areas of shapes.
Modules
math
Classes
class Square(shapes.base.Rectangle)
Square(side=1)
A square with sides of one length.
Method resolution order:
builtins.object
class Plain(builtins.object)
Nothing special here.
Functions
area(width, height=3, *, unit='cm', parent=None) -> 'float'
Return the area of a rectangle of this width and height.
It must not be negative.
outline(path: 'str', precision: int = -1) -> Optional[str]
Draw the edges of a shape into a file, always in 2 colours.
twice(a=1)
twice(a=2)
broken(a=<object object at 0x7f>)
Whatever this function does is hard to say in words.
Data
MAX_SIDES = 12
UNIT_NAME = 'cm'
PATTERN = '%s'
__all__ = ['area', 'outline']"""
CODECS = """Encode and decode text.
Functions
decode(data, errors='strict') -> str
Turn the data into text with the codec that was registered for it.
encode_all(texts, level=9)
Encode every text in turn and join the results at the end.
Data
LIMIT = 4096"""


def page(title: str, text: str, url: str | None = None) -> Document:
    """One page."""
    url = url or f"http://127.0.0.1:8700/{title.rpartition(' ')[2]}.html"
    return Document(document_id(url), url, title, text, "en", Source("f", 0, "sha1:A"), b"")


PAGES = [page("Python: shapes", SHAPES), page("Python: codecs2", CODECS), page("About us", "We make shapes.")]
