"""The makers of live indexes, as a fixture."""

import make_live
import pytest


@pytest.fixture(scope="session")
def live():
    return make_live
