"""What the lists of the catalog share: the fields of an entry, reading a list, finding one of it by its id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, create_model

from sixfold.design.yaml_source import load_yaml
from sixfold.errors import ConfigError, InputError

__all__ = ["Entry", "Text", "by_id", "inherited", "load_list", "one_of"]

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=700)]


class Entry(BaseModel):
    """One thing of a list: what it is called, who says so, and when they said it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    id: Text
    source: Text
    date: Text  # as the source dates it


Listed = TypeVar("Listed", bound=Entry)


def load_list(path: Path, name: str, entry: type[Listed]) -> dict[str, Listed]:
    """Read a file whose one field `name` is a list of entries; return them by id, in their order.

    Raises:
        InputError: unreadable, empty, an entry that is not what its class asks for, an id given twice.
    """
    fields: dict[str, Any] = {name: (list[entry], Field(min_length=1))}  # type: ignore[valid-type]
    model: type[BaseModel] = create_model("List", __config__=ConfigDict(extra="forbid"), **fields)
    return by_id(getattr(load_yaml(path, model), name), path)


def by_id(entries: Iterable[Listed], path: Path) -> dict[str, Listed]:
    """Return the entries by their id, in their order. Raises InputError when one is given twice."""
    found: dict[str, Listed] = {}
    for entry in entries:
        if entry.id in found:
            raise InputError(f"id {entry.id} is given twice", path=path)
        found[entry.id] = entry
    return found


def one_of(kind: str, entries: Mapping[str, Listed], entry_id: str) -> Listed:
    """Return one entry.

    Raises:
        ConfigError: there is none of this id; the text lists those that there are.
    """
    if entry_id not in entries:
        raise ConfigError(f"got {kind} {entry_id!r}, expected one of {', '.join(entries)}")
    return entries[entry_id]


def inherited(raw: Any, name: str) -> Any:
    """Return a file's content in which an entry of the list `name` that is `like` an earlier one says all of it itself.

    Raises ValueError for one that is like no earlier one; what is no list of mappings is left to whoever reads it.
    """
    known: dict[Any, dict[str, Any]] = {}
    entries = raw.get(name) if isinstance(raw, dict) else None
    for entry in entries if isinstance(entries, list) else []:
        if not isinstance(entry, dict):
            continue
        like = entry.pop("like", None)
        if like is not None and like not in known:
            raise ValueError(f"{entry.get('id')} of {name} is like {like}, expected an earlier one")
        entry.update({field: value for field, value in known.get(like, {}).items() if field not in entry})
        known[entry.get("id")] = dict(entry)
    return raw
