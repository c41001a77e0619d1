"""YAML files checked against a pydantic model, with errors that name the line and the field."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from sixfold.errors import InputError

__all__ = ["load_yaml"]

_MAX_BYTES = 1 << 20
_MAX_DEPTH = 32
Model = TypeVar("Model", bound=BaseModel)


def load_yaml(path: str | Path, model: type[Model]) -> Model:
    """Read a YAML file of at most 1 MiB as a `model`.

    Raises:
        InputError: unreadable, not YAML, a key given twice, or not what the model asks for.
    """
    source = Path(path)
    root = _compose(source)
    try:
        return model.model_validate(_plain(root, source, set()))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        loc = [part for part in first["loc"] if part != "[key]"]
        raise InputError(
            _sentence(first), path=source, line=_line(root, loc), field=".".join(map(str, loc)) or None
        ) from error


def _compose(source: Path) -> yaml.Node:
    try:
        with source.open("rb") as file:
            raw = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})", path=source) from error
    if len(raw) > _MAX_BYTES:
        raise InputError(f"larger than {_MAX_BYTES} bytes, expected a description", path=source)
    try:
        root = yaml.compose(raw.decode("utf-8"), Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 at byte {error.start}", path=source) from error
    except RecursionError as error:
        raise InputError(f"nested deeper than {_MAX_DEPTH} levels", path=source) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise InputError(f"not YAML: {problem}", path=source, line=mark.line + 1 if mark else None) from error
    if not isinstance(root, yaml.MappingNode):
        raise InputError("got no fields, expected a mapping of them", path=source, line=1)
    return root


def _plain(node: yaml.Node, source: Path, seen: set[int], depth: int = 0) -> Any:
    """Return the node as plain Python, refusing what YAML lets pass: keys given twice, aliases, odd tags."""
    line = node.start_mark.line + 1
    if isinstance(node, yaml.CollectionNode):
        if id(node) in seen:  # a few lines of aliases can stand for gigabytes
            raise InputError("referred to by an alias, expected it written out", path=source, line=line)
        seen.add(id(node))
    if depth > _MAX_DEPTH:
        raise InputError(f"nested deeper than {_MAX_DEPTH} levels", path=source, line=line)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(child, source, seen, depth + 1) for child in node.value]
    if isinstance(node, yaml.MappingNode):
        fields: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key_line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise InputError("got a structure as a key, expected a name", path=source, line=key_line)
            if key_node.value in fields:
                raise InputError("given twice", path=source, line=key_line, field=key_node.value)
            fields[key_node.value] = _plain(value_node, source, seen, depth + 1)
        return fields
    try:
        return _Scalars("").construct_object(node)
    except (yaml.YAMLError, ValueError) as error:
        problem = getattr(error, "problem", None) or str(error)
        raise InputError(f"not a plain value: {problem}", path=source, line=line) from error


class _Scalars(yaml.SafeLoader):
    """YAML's scalars without its dates: `date: 2026-01-01` is the text that it looks like."""

    yaml_constructors = {  # noqa: RUF012 (as its base declares it)
        **yaml.SafeLoader.yaml_constructors,
        "tag:yaml.org,2002:timestamp": yaml.SafeLoader.construct_yaml_str,
    }


def _line(node: yaml.Node, loc: list[int | str]) -> int:
    """Return the line of the field at `loc`, or of the nearest thing around it that the file has."""
    line = node.start_mark.line + 1
    for part in loc:
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == str(part)), None)
            if found is None:
                return line
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            return line
    return line


def _sentence(error: Any) -> str:
    """Say in our words what pydantic found."""
    kind, got = error["type"], error.get("input")
    if kind == "missing":
        return "missing, expected a value"
    if kind == "extra_forbidden":
        return "unknown field, expected none of this name: check its spelling"
    text = str(error["msg"]).removeprefix("Value error, ")
    shown = repr(got) if isinstance(got, str | int | float | bool) or got is None else type(got).__name__
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    return text if kind == "value_error" else f"got {shown}, expected {text[:1].lower()}{text[1:]}"
