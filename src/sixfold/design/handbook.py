"""docs/laws.md and docs/glossary.md, from docstrings: what is written once cannot disagree with itself."""

from __future__ import annotations

import ast
import enum
import inspect
import pkgutil
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType

from sixfold import axes
from sixfold.design import (
    accuracy,
    answer,
    attempts,
    break_even,
    checklist,
    contention,
    curves,
    laws,
    nearest,
    pressures,
    search,
    sensitivity,
    spec,
    workload,
)
from sixfold.design.accuracy import accuracies
from sixfold.files import replace_bytes

__all__ = ["glossary_page", "laws_page", "write"]

# Which families of measurements bear on the laws of a module. A module that is not here was held against none.
MEASURED = {
    "training": ("dense training multi-node", "vtrain multi-node"),
    "training_layer": ("dense training multi-node",),
    "training_memory": ("memory",),
    "queueing": ("queue",),
    "overload": ("goodput",),
    "tails": ("fan-out",),
    "failures": ("interruptions", "effective", "young"),
    "serving": ("tpot", "ttft"),
    "serving_memory": ("tpot",),
    "serving_queue": ("tpot", "ttft", "published throughput"),
    "tables": ("recommender memory", "recommender ceiling: gain of placement"),
    "recommender": ("recommender",),
    "retrieval": ("probes", "ann"),
    "encoders": ("encoder",),
    "index_size": ("ann graph memory",),
    "federated": ("rounds", "epsilon"),
    "agents": ("coordination", "agents"),
}
_MODULES = (
    accuracy,
    answer,
    attempts,
    break_even,
    checklist,
    contention,
    curves,
    nearest,
    pressures,
    search,
    sensitivity,
    spec,
    workload,
)
_LAWS = """# The laws

Written by `sixfold design handbook docs` from the docstrings of `src/sixfold/design/laws/`. Every law is a pure
function over numpy arrays; arguments, units and limits are in its docstring. How far families of laws were from
measurements is in [accuracy.md](accuracy.md), and named under each module that was held against any.
"""
_GLOSSARY = """# Glossary

Written by `sixfold design handbook docs` from docstrings: the symbols of the laws, the vocabulary, and what the parts
of an answer are called.

| term | what it is |
| --- | --- |
"""


def write(docs: Path) -> list[Path]:
    """Write both pages into a folder; return their paths."""
    pages = {docs / "laws.md": laws_page(), docs / "glossary.md": glossary_page()}
    for path, text in pages.items():
        replace_bytes(path, text.encode())
    return list(pages)


def laws_page() -> str:
    """Every public law by module: what it returns, and who says so."""
    lines = [_LAWS]
    for name in sorted(entry.name for entry in pkgutil.iter_modules(laws.__path__)):
        module = import_module(f"sixfold.design.laws.{name}")
        lines += [f"## {name}", "", _first(module), "", *_measured(name)]
        for public in module.__all__:
            thing = getattr(module, public)
            if inspect.isfunction(thing):
                lines.append(f"- **`{public}`** {_summary(thing)}")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def glossary_page() -> str:
    """Symbols, the vocabulary with its values, and the classes of an answer, each once, by the alphabet."""
    terms: dict[str, str] = dict(_symbols())
    for name, thing in vars(axes).items():
        if inspect.isclass(thing) and issubclass(thing, enum.Enum) and thing.__module__ == axes.__name__:
            terms[name.lower()] = _first(thing)
            terms.update({f"{value} ({name.lower()})": said for value, said in _members(axes, name).items()})
    for module in _MODULES:
        for public in module.__all__:
            thing = getattr(module, public)
            if inspect.isclass(thing):
                terms.setdefault(_words(public), _first(thing))
    rows = [f"| {term} | {_cell(said)} |" for term, said in sorted(terms.items(), key=lambda item: item[0].lower())]
    return _GLOSSARY + "\n".join(rows) + "\n"


def _measured(name: str) -> list[str]:
    found = [
        f"{family['name']}: {family['mape']:.1%} over {family['rows']} rows (a constant: {family['baseline_mape']:.1%})"
        for words in (MEASURED.get(name, ()),)
        for family in accuracies().values()
        if any(word in family["name"].lower() for word in words)
    ]
    return [f"Measured, mean error: {'; '.join(found)}.", ""] if found else []


def _summary(function: object) -> str:
    """What a law returns, and where it comes from."""
    text = " ".join((inspect.getdoc(function) or "").split())
    source = re.search(r"Sources?: (.*?)(?=$|Raises:| Raises )", text)
    said = _first(function).removeprefix("Return ")
    return f"{said[:1].upper()}{said[1:]} *{source[1].strip()}*" if source and source[1].strip() not in said else said


def _first(thing: object) -> str:
    """The first paragraph of a docstring, without its source."""
    paragraph = (inspect.getdoc(thing) or "").split("\n\n")[0]
    return " ".join(paragraph.split()).split(" Source:")[0]


def _symbols() -> dict[str, str]:
    lines = (inspect.getdoc(laws) or "").split("Symbols:")[1].strip().splitlines()
    pairs = (line.strip().partition(": ") for line in lines)
    return {symbol: said for symbol, _, said in pairs}


def _members(module: ModuleType, name: str) -> dict[str, str]:
    """The values of an enumeration with the remarks beside them; those without one are left to their class."""
    source = inspect.getsource(getattr(module, name))
    found = {}
    for node in ast.parse(source).body[0].body:  # type: ignore[attr-defined]
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            remark = source.splitlines()[node.lineno - 1].partition("#")[2].strip()
            if remark:
                found[str(node.value.value)] = remark
    return found


def _words(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
