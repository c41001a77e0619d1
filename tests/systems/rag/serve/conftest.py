"""An index with real vectors, and a way to ask a service over real HTTP."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import make_index
import pytest
from http_client import Client

from sixfold.systems.rag.build_embed import embedder
from sixfold.systems.rag.index.shard import Shard
from sixfold.systems.rag.retrieve import Retriever

TOPICS = ("json", "socket", "thread", "calendar", "zip", "regular expression", "queue", "decimal")


def documents(shard: int) -> list[Any]:
    """The chunks of a dozen documents of two passages each."""
    chunks = []
    for at in range(12):
        topic = TOPICS[(at + shard) % len(TOPICS)]
        texts = [
            f"The {topic} module number {shard}-{at} reads and writes {topic} data. Its default size is {at + 1}.",
            f"class {topic.title().replace(' ', '')}{shard}x{at} raises ValueError when the {topic} is not valid.",
        ]
        chunks += make_index.indexed(f"http://host{shard}.test/{topic.replace(' ', '-')}/{at}", texts)
    return chunks


@pytest.fixture(scope="session")
def served_index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two shards with real vectors; read only."""
    index = tmp_path_factory.mktemp("served") / "index"
    make_index.make_index(index, [[documents(0)], [documents(1)]], embed=embedder().embed, dimension=384)
    return index


@pytest.fixture(scope="session")
def reference(served_index: Path) -> Retriever:
    """The same index in this process."""
    return Retriever([Shard.open(served_index, n) for n in range(2)], embedder().embed_query)


@pytest.fixture
def serve_app() -> Iterator[Any]:
    """Run an application under uvicorn in a thread; returns its client."""
    import uvicorn

    running = []

    def start(app: Any) -> Client:
        listener = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        running.append((server, thread))
        client = Client(f"http://127.0.0.1:{listener.getsockname()[1]}")
        client.wait_until_ready()
        return client

    yield start
    for server, thread in running:
        server.should_exit = True
        thread.join(10)
