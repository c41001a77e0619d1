"""Small builds, as a fixture: test folders here are not packages."""

import importlib.util
import sys
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("make_build", Path(__file__).with_name("make_build.py"))
_module = importlib.util.module_from_spec(_spec)
sys.modules["make_build"] = _module
_spec.loader.exec_module(_module)


@pytest.fixture(scope="session")
def making():
    return _module


@pytest.fixture(scope="session")
def corpus(tmp_path_factory) -> list[str]:
    """Three WARC files of real English pages."""
    return _module.corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="session")
def whole(corpus, tmp_path_factory):
    """The index of the corpus, built in one go by the command, and the summary it printed."""
    index = tmp_path_factory.mktemp("whole") / "index"
    return index, _module.built(corpus, index)
