"""Links between devices and between machines: `links.yaml`."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field

from sixfold.design.catalog.entries import Entry, Text, load_list, one_of

__all__ = ["Link", "link", "links"]

LINKS_PATH = Path(__file__).with_name("links.yaml")


class Link(Entry):
    """One port of a link, one direction.

    alpha_s: from the call in one process until the first byte is in another one's memory, software included, on an
    idle link. bytes_per_s: raw rate of the port; what arrives of it is for a fitted share to say.
    """

    name: Text
    kind: Literal["scale-up", "host", "network", "wide-area", "radio"]
    alpha_s: float = Field(gt=0)
    bytes_per_s: float = Field(gt=0)
    note: Text | None = None


@cache
def links(path: Path = LINKS_PATH) -> dict[str, Link]:
    """Return every link by its id, in the order of the file. Raises InputError for a broken file."""
    return load_list(path, "links", Link)


def link(link_id: str) -> Link:
    """Return one link. Raises ConfigError for an unknown id; the text lists those that there are."""
    return one_of("link", links(), link_id)
