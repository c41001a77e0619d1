"""Shapes of published language models: `architectures.yaml`, each with its source."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Annotated, Self

from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from sixfold.design.laws.transformer import Transformer, transformer
from sixfold.design.yaml_source import load_yaml
from sixfold.errors import ConfigError

__all__ = ["Architecture", "architecture", "architectures", "named_architecture"]

ARCHITECTURES_PATH = Path(__file__).with_name("architectures.yaml")
_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]


class Architecture(BaseModel):
    """The shape of one published model; fields as of `transformer`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    id: _Text
    layers: int = Field(ge=1)
    hidden: int = Field(ge=1)
    heads: int = Field(ge=1)
    kv_heads: int | None = Field(default=None, ge=1)
    head_dim: int | None = Field(default=None, ge=1)
    ffn: int | None = Field(default=None, ge=1)
    gated: bool = False
    untied: bool = False
    vocab: int = Field(ge=1)
    experts: int = Field(default=0, ge=0)
    experts_per_token: int = Field(default=0, ge=0)
    expert_ffn: int = Field(default=0, ge=0)
    shared_ffn: int = Field(default=0, ge=0)
    dense_layers: int = Field(default=0, ge=0)
    attention_weights: float | None = Field(default=None, gt=0)
    date: _Text
    source: _Text

    @model_validator(mode="after")
    def _experts(self) -> Self:
        if bool(self.experts) != bool(self.expert_ffn and self.experts_per_token):
            raise ValueError("experts, experts_per_token and expert_ffn belong together")
        return self

    def transformer(self, seq_len: ArrayLike) -> Transformer:
        """Its shape for sequences of `seq_len` tokens."""
        given = self.model_dump(exclude={"id", "date", "source", "layers", "hidden", "heads"}, exclude_none=True)
        return transformer(self.layers, self.hidden, self.heads, seq_len=seq_len, **given)


class _List(BaseModel):
    model_config = ConfigDict(extra="forbid")

    architectures: list[Architecture] = Field(min_length=1)

    @model_validator(mode="after")
    def _unique(self) -> Self:
        ids = [entry.id for entry in self.architectures]
        twice = sorted({name for name in ids if ids.count(name) > 1})
        if twice:
            raise ValueError(f"id {twice[0]} is given twice")
        return self


@cache
def architectures(path: Path = ARCHITECTURES_PATH) -> dict[str, Architecture]:
    """Return every architecture by its id, in the order of the file."""
    return {entry.id: entry for entry in load_yaml(path, _List).architectures}


def architecture(architecture_id: str) -> Architecture:
    """Return one architecture.

    Raises:
        ConfigError: the catalog has none of this id; the text lists those it has.
    """
    known = architectures()
    if architecture_id not in known:
        raise ConfigError(f"got architecture {architecture_id!r}, expected one of {', '.join(known)}")
    return known[architecture_id]


def named_architecture(name: str) -> Architecture | None:
    """Return the architecture that a publication means by `name` ("LLAMA3.1_405B"); None if there is none like it.

    Case, punctuation, minor versions of Llama 3 and remarks in parentheses do not count.
    """
    plain = _plain(re.sub(r"\(.*?\)", "", name.lower()))
    plain = re.sub(r"llama3[123](?=\d+b)", "llama3", plain)
    for entry in architectures().values():
        if plain == _plain(entry.id):
            return entry
    return None


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name)
