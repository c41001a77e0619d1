"""What things cost, by lists that say when and by whom: machines by the hour, models by the token, and the rest."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sixfold.design.catalog.entries import Entry, Text, by_id, one_of
from sixfold.design.yaml_source import load_yaml

__all__ = ["Price", "Rate", "TokenPrice", "price", "prices", "rate", "rates", "token_price", "token_prices"]

PRICES_PATH = Path(__file__).with_name("prices.yaml")


class Price(Entry):
    """What one machine costs an hour, and a worker on it: a device of a machine that has devices, else a vCPU.

    term: on-demand, reserved for at least a year, spot (may be taken away), a block (prepaid, fixed window), or assumed
    (a paper's or a planner's round figure, nobody's list price). device: of the catalog.
    """

    provider: Text
    sku: Text
    vcpus: int | None = Field(default=None, ge=1)
    devices: int = Field(default=0, ge=0)
    device: Text | None = None
    machine_usd_per_hour: float = Field(gt=0)
    term: Literal["on-demand", "reserved", "spot", "block", "assumed"]
    note: Text | None = None

    @model_validator(mode="after")
    def _has_workers(self) -> Self:
        if not self.devices and self.vcpus is None:
            raise ValueError("got neither vcpus nor devices, expected what a worker of this machine is")
        if bool(self.devices) != bool(self.device):
            raise ValueError("devices and device belong together")
        return self

    @property
    def usd(self) -> float:
        """Dollars an hour of one worker: its share of the machine."""
        return self.machine_usd_per_hour / (self.devices or self.vcpus or 1)


class TokenPrice(Entry):
    """What a hosted model costs. tier: small up to about 10 billion parameters, middle up to about 100, large beyond.

    Prices are of a million tokens, as providers state them; the properties are of one.
    """

    provider: Text
    model: Text
    tier: Literal["small", "middle", "large"]
    input_usd_per_million: float = Field(ge=0)
    cached_input_usd_per_million: float | None = Field(default=None, ge=0)
    output_usd_per_million: float = Field(ge=0)
    note: Text | None = None

    @property
    def input_usd_per_token(self) -> float:
        """Dollars of a token that is read."""
        return self.input_usd_per_million * 1e-6

    @property
    def output_usd_per_token(self) -> float:
        """Dollars of a token that is written."""
        return self.output_usd_per_million * 1e-6


_BASE = {  # of one unit as sources state it, in bytes, joules, hours, kilograms
    "USD/GB": 1e-9,
    "USD/TB-month": 1e-12,
    "USD/kWh": 1.0 / 3.6e6,
    "g CO2e/kWh": 1e-3 / 3.6e6,
    "USD/hour": 1.0,
    "USD": 1.0,
    "share": 1.0,
    "W/W": 1.0,
}


class Rate(Entry):
    """Any other figure of money, energy or carbon: `value` in `unit`, as stated; `low` and `high` of a stated span.

    share: of the on-demand price that is saved. W/W: drawn by a site for each watt of its machines.
    """

    name: Text
    unit: Literal["USD/GB", "USD/TB-month", "USD/kWh", "g CO2e/kWh", "USD/hour", "USD", "share", "W/W"]
    value: float | None = Field(default=None, ge=0)
    low: float | None = Field(default=None, ge=0)
    high: float | None = Field(default=None, ge=0)
    note: Text | None = None

    @model_validator(mode="after")
    def _value_or_span(self) -> Self:
        if (self.low is None) != (self.high is None) or (self.value is None) == (self.low is None):
            raise ValueError("expected either a value, or low and high")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"got low {self.low:g} above high {self.high:g}")
        return self

    @property
    def base(self) -> float:
        """The value, or the middle of the span, in dollars or kilograms of CO2e a byte, byte-month, joule or hour."""
        middle = self.value if self.value is not None else ((self.low or 0.0) + (self.high or 0.0)) / 2.0
        return middle * _BASE[self.unit]


class _Lists(BaseModel):
    model_config = ConfigDict(extra="forbid")

    prices: list[Price] = Field(min_length=1)
    tokens: list[TokenPrice] = []
    rates: list[Rate] = []


@cache
def _lists(path: Path) -> _Lists:
    return load_yaml(path, _Lists)


def prices(path: Path = PRICES_PATH) -> dict[str, Price]:
    """Return the price of every machine by its id, in the order of the file. Raises InputError for a broken file."""
    return by_id(_lists(path).prices, path)


def price(price_id: str) -> Price:
    """Return the price of one machine. Raises ConfigError for an unknown id; the text lists those that there are."""
    return one_of("price", prices(), price_id)


def token_prices(path: Path = PRICES_PATH) -> dict[str, TokenPrice]:
    """Return the price of every hosted model by its id. Raises InputError for a broken file."""
    return by_id(_lists(path).tokens, path)


def token_price(price_id: str) -> TokenPrice:
    """Return the price of one hosted model. Raises ConfigError for an unknown id, listing those that there are."""
    return one_of("token price", token_prices(), price_id)


def rates(path: Path = PRICES_PATH) -> dict[str, Rate]:
    """Return every other rate (egress, storage, energy, carbon ...) by its id. Raises InputError for a broken file."""
    return by_id(_lists(path).rates, path)


def rate(rate_id: str) -> Rate:
    """Return one rate. Raises ConfigError for an unknown id; the text lists those that there are."""
    return one_of("rate", rates(), rate_id)
