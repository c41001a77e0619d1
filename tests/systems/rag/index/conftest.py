"""The builders of small indexes, as a fixture."""

import make_index
import pytest


@pytest.fixture(scope="session")
def make():
    return make_index
