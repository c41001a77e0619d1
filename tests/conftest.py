"""Fixtures and settings that more than one folder of tests uses."""

import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

from sixfold.lab.lab import Lab

# The same examples every time, and no deadline: the machine that runs them may be busy.
settings.register_profile("sixfold", deadline=None, derandomize=True)
settings.load_profile("sixfold")

# What a shell without job control starts in the background ignores interrupts, and so would the children of tests.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def ray_lab() -> Iterator[Lab]:
    """One real Ray with two workers for the whole session, started by the first test that asks for it."""
    with Lab.local(workers=2) as lab:
        yield lab
