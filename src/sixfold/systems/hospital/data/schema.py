"""The common schema: what every hospital's variables are turned into, with units, codes and plausible ranges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

__all__ = ["SCHEMA", "Kind", "Variable"]


class Kind(StrEnum):
    """What the values of a variable are."""

    NUMBER = "number"
    CODE = "code"
    FLAG = "flag"


@dataclass(frozen=True, slots=True)
class Variable:
    """low, high: what a living patient can have; outside is a mistake. typical: where a hospital's median lies.

    units: unit that a hospital may use -> factor into `unit`. zero: whether 0 is a measurement.
    """

    kind: Kind
    unit: str = ""
    low: float = 0.0
    high: float = 1.0
    typical: tuple[float, float] = (0.0, 1.0)
    codes: tuple[int, ...] = ()
    units: Mapping[str, float] = field(default_factory=dict)
    zero: bool = True


def _flag() -> Variable:
    return Variable(Kind.FLAG, codes=(0, 1))


# Factors: molar masses of glucose 180.16, cholesterol 386.65 and creatinine 113.12 g/mol.
SCHEMA: Mapping[str, Variable] = {
    "age": Variable(Kind.NUMBER, "years", 0, 120, (18, 90), units={"months": 1 / 12}),
    "sex": _flag(),
    "cp": Variable(Kind.CODE, codes=(1, 2, 3, 4)),
    "trestbps": Variable(Kind.NUMBER, "mmHg", 50, 260, (100, 170), units={"kPa": 7.50062}, zero=False),
    "chol": Variable(Kind.NUMBER, "mg/dL", 60, 700, (120, 320), units={"mmol/L": 38.665}, zero=False),
    "fbs": _flag(),
    "restecg": Variable(Kind.CODE, codes=(0, 1, 2)),
    "thalach": Variable(Kind.NUMBER, "1/min", 40, 230, (90, 190), units={"Hz": 60.0}, zero=False),
    "exang": _flag(),
    "oldpeak": Variable(Kind.NUMBER, "mm", -3, 10, (-0.5, 3.5), units={"cm": 10.0}),
    "glucose": Variable(Kind.NUMBER, "mg/dL", 20, 900, (70, 220), units={"mmol/L": 18.016}, zero=False),
    "creatinine": Variable(Kind.NUMBER, "mg/dL", 0.1, 20, (0.5, 2.0), units={"umol/L": 1 / 88.4}, zero=False),
    "bmi": Variable(Kind.NUMBER, "kg/m2", 10, 80, (18, 40), zero=False),
    "weight": Variable(Kind.NUMBER, "kg", 20, 350, (45, 130), units={"lb": 0.45359237}, zero=False),
    "height": Variable(Kind.NUMBER, "cm", 100, 230, (145, 195), units={"m": 100.0, "in": 2.54}, zero=False),
}
