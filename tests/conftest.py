"""Fixtures that more than one folder of tests uses."""

from collections.abc import Iterator

import pytest

from sixfold.lab.lab import Lab


@pytest.fixture(scope="session")
def ray_lab() -> Iterator[Lab]:
    """One real Ray with two workers for the whole session, started by the first test that asks for it."""
    with Lab.local(workers=2) as lab:
        yield lab
