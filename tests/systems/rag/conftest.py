"""Small builds, and what makes them, as fixtures."""

import make_build
import pytest


@pytest.fixture(scope="session")
def making():
    return make_build


@pytest.fixture(scope="session")
def corpus(tmp_path_factory) -> list[str]:
    """Three WARC files of real English pages."""
    return make_build.corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="session")
def whole(corpus, tmp_path_factory):
    """The index of the corpus, built in one go by the command, and the summary it printed."""
    index = tmp_path_factory.mktemp("whole") / "index"
    return index, make_build.built(corpus, index)
