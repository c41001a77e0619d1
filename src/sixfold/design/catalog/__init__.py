"""What things are and what they cost, from lists in which every value has its source and its date."""

from sixfold.design.catalog.dates import is_stale
from sixfold.design.catalog.prices import Price, price, prices

__all__ = ["Price", "is_stale", "price", "prices"]
