"""Tools for each axis of distribution: `tools.yaml`: what each does, and what it leaves to others."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pydantic import Field

from sixfold.axes import Axis
from sixfold.design.catalog.entries import Entry, Text, load_list, one_of

__all__ = ["Tool", "tool", "tools"]

TOOLS_PATH = Path(__file__).with_name("tools.yaml")


class Tool(Entry):
    """One tool. axes: those that it serves, the main one first. used: whether Sixfold itself runs on it."""

    name: Text
    axes: tuple[Axis, ...] = Field(min_length=1)
    does: Text
    does_not: Text
    licence: Text
    home: Text
    used: bool = False


@cache
def tools(path: Path = TOOLS_PATH) -> dict[str, Tool]:
    """Return every tool by its id, in the order of the file. Raises InputError for a broken file."""
    return load_list(path, "tools", Tool)


def tool(tool_id: str) -> Tool:
    """Return one tool. Raises ConfigError for an unknown id; the text lists those that there are."""
    return one_of("tool", tools(), tool_id)
