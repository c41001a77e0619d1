"""Data sets to work with: `datasets.yaml`: which ceiling each makes bind, its size, its licence, how it is read."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field

from sixfold.axes import Ceiling
from sixfold.design.catalog.entries import Entry, Text, load_list, one_of

__all__ = ["Dataset", "dataset", "datasets"]

DATASETS_PATH = Path(__file__).with_name("datasets.yaml")


class Dataset(Entry):
    """One data set.

    ceiling: what a single machine meets first with it. size_bytes: as it is passed on (compressed where it is); None
    where no figure was found. items: of `item`. reads: whether a loader of Sixfold takes it as it is, after a
    conversion that `loader` names, or not at all.
    """

    name: Text
    ceiling: Ceiling
    system: Literal["rag", "hospital", "recommender", "swarm", "agents", "training", "retrieval"]
    items: float | None = Field(default=None, gt=0)
    item: Text | None = None
    size_bytes: float | None = Field(default=None, gt=0)
    licence: Text
    reads: Literal["as it is", "converted", "no"]
    loader: Text
    home: Text
    note: Text | None = None


@cache
def datasets(path: Path = DATASETS_PATH) -> dict[str, Dataset]:
    """Return every data set by its id, in the order of the file. Raises InputError for a broken file."""
    return load_list(path, "datasets", Dataset)


def dataset(dataset_id: str) -> Dataset:
    """Return one data set. Raises ConfigError for an unknown id; the text lists those that there are."""
    return one_of("data set", datasets(), dataset_id)
