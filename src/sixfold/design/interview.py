"""The questions behind a spec, in the order of the playbook, each with what it is for."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from inspect import cleandoc
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from sixfold.axes import Metric
from sixfold.design.spec import Budget, Objective, Platform, Spec, spec_class
from sixfold.design.workloads import KINDS, workload_class

__all__ = ["Interview", "interview"]

Ask = Callable[[str, str], str]
Tell = Callable[[str], None]
_SECTIONS: tuple[tuple[str, type[BaseModel], str], ...] = (
    (
        "objective",
        Objective,
        "What it is judged by: one metric is optimised, the others must hold. Empty: not asked for.",
    ),
    ("budget", Budget, "What may be spent. Empty: no limit."),
    ("platform", Platform, "What can be had: machines by their ids in `sixfold catalog prices`."),
)


@dataclass(frozen=True)
class Interview:
    """What was answered, and the spec that it makes."""

    given: dict[str, Any]
    spec: Spec[Any]

    def to_yaml(self) -> str:
        """As a file that `sixfold design` reads."""
        return yaml.safe_dump(self.given, sort_keys=False, allow_unicode=True)


def interview(*, ask: Ask, tell: Tell) -> Interview:
    """Ask until every answer is one that a spec accepts. `ask(words, default)` returns what was typed."""
    tell("1. The ambition: what must be true when it is done?")
    given: dict[str, Any] = {"name": ask("name", "My system"), "ambition": ask("ambition", "") or "not stated"}
    tell("2. The work. It says which ceiling of one machine will bind:")
    for name in KINDS:
        tell(f"   {name}: {_first_sentence(workload_class(name).__doc__)}")
    kind = _until(ask, "kind", "data-parallel", lambda text: text if text in KINDS else None, tell, ", ".join(KINDS))
    given["kind"] = kind
    cls = workload_class(kind)
    tell(f"3. Its numbers. {cleandoc(cls.__doc__ or '')}")
    given["workload"] = _fields(cls, ask, tell)
    for at, (title, model, words) in enumerate(_SECTIONS, start=4):
        tell(f"{at}. {words} {_rest(model)}")
        given[title] = _fields(model, ask, tell)
    while True:
        try:
            return Interview(given, spec_class(kind).model_validate(given))
        except ValidationError as error:  # what only the whole can tell
            first = error.errors(include_url=False)[0]
            section, field = (str(part) for part in (*first["loc"], "")[:2])
            tell(f"   {first['msg']}")
            given[section][field] = ask(f"{section}.{field}", "")


def _fields(model: type[BaseModel], ask: Ask, tell: Tell) -> dict[str, Any]:
    answers: dict[str, Any] = {}
    for name, info in model.model_fields.items():
        default = "" if info.is_required() or info.default is None else _written(info.default)
        value = _until(ask, name, default, partial(_accepted, model, name, info), tell, "")
        if value != "":
            answers[name] = value
    return answers


def _accepted(model: type[BaseModel], name: str, info: FieldInfo, typed: str) -> Any:
    """The value as a spec keeps it; None where it is refused, "" where the question may be left out."""
    if not typed.strip():
        return None if info.is_required() else ""
    value: Any = yaml.safe_load(typed) if typed.lstrip().startswith(("[", "true", "false")) else typed.strip()
    if isinstance(value, str) and "tuple" in str(info.annotation):
        value = [part.strip() for part in value.split(",")]
    try:
        checked = model.__pydantic_validator__.validate_assignment(model.model_construct(), name, value)
    except ValidationError:
        return None
    done = (checked[0] if isinstance(checked, tuple) else checked.__dict__)[name]
    if isinstance(done, Metric):
        return done.value
    return list(done) if isinstance(done, tuple) else done


def _until(ask: Ask, words: str, default: str, accept: Callable[[str], Any], tell: Tell, expected: str) -> Any:
    while True:
        typed = ask(words, default)
        value = accept(typed)
        if value is not None:
            return value
        tell(f"   {typed!r} will not do{f': expected {expected}' if expected else ''}")


def _written(default: Any) -> str:
    return ", ".join(default) if isinstance(default, tuple) else str(default)


def _first_sentence(text: str | None) -> str:
    return re.split(r"(?<=[.;])\s", cleandoc(text or ""), maxsplit=1)[0].rstrip(".;")


def _rest(model: type[BaseModel]) -> str:
    return " ".join(cleandoc(model.__doc__ or "").split())
