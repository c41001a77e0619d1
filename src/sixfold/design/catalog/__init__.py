"""What machines cost, from lists that say when and by whom: `prices.yaml`, each value with its source."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from sixfold.design.yaml_source import load_yaml
from sixfold.errors import ConfigError

__all__ = ["Price", "price", "prices"]

PRICES_PATH = Path(__file__).with_name("prices.yaml")
_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]


class Price(BaseModel):
    """What one machine costs an hour, and the worker of one vCPU on it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    id: _Text
    provider: _Text
    sku: _Text
    vcpus: int = Field(ge=1)
    machine_usd_per_hour: float = Field(gt=0)
    term: _Text
    date: _Text  # as the source dates it
    source: _Text

    @property
    def usd(self) -> float:
        """Dollars an hour of one worker: a vCPU, its share of the machine."""
        return self.machine_usd_per_hour / self.vcpus


class _List(BaseModel):
    model_config = ConfigDict(extra="forbid")

    prices: list[Price] = Field(min_length=1)

    @model_validator(mode="after")
    def _unique(self) -> Self:
        ids = [entry.id for entry in self.prices]
        twice = sorted({name for name in ids if ids.count(name) > 1})
        if twice:
            raise ValueError(f"id {twice[0]} is given twice")
        return self


@cache
def prices(path: Path = PRICES_PATH) -> dict[str, Price]:
    """Return every price of the catalog by its id, in the order of the file."""
    return {entry.id: entry for entry in load_yaml(path, _List).prices}


def price(price_id: str) -> Price:
    """Return one price of the catalog.

    Raises:
        ConfigError: the catalog has none of this id; the text lists those it has.
    """
    known = prices()
    if price_id not in known:
        raise ConfigError(f"got price {price_id!r}, expected one of {', '.join(known)}")
    return known[price_id]
