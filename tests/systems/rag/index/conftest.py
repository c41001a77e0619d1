"""The builders of small indexes, as a fixture: test folders here are not packages."""

import importlib.util
import sys
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("make_index", Path(__file__).with_name("make_index.py"))
_module = importlib.util.module_from_spec(_spec)
sys.modules["make_index"] = _module
_spec.loader.exec_module(_module)


@pytest.fixture(scope="session")
def make():
    return _module
