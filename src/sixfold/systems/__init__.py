"""The systems that ship with Sixfold, by name; each is imported when it is asked for."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from sixfold.errors import ConfigError, PrerequisiteError

if TYPE_CHECKING:
    from sixfold.study.stage import System

__all__ = ["SYSTEMS", "load_system"]

SYSTEMS = {"rag": "sixfold.systems.rag.stages", "hospital": "sixfold.systems.hospital.stages"}


def load_system(name: str) -> System:
    """The system of that name; ConfigError if there is none, PrerequisiteError if its extra is not installed."""
    if name not in SYSTEMS:
        raise ConfigError(f"no system {name!r}; there are: {', '.join(SYSTEMS)}")
    try:
        module = importlib.import_module(SYSTEMS[name])
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("sixfold"):
            raise
        raise PrerequisiteError(f"{name} needs {error.name}: pip install 'sixfold[{name}]'") from None
    system: System = module.SYSTEM
    return system
