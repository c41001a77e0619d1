"""What an operator may choose reaches those who do the work, and what makes no sense is refused."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sixfold.errors import ConfigError
from sixfold.systems.rag.serve.app import create_app
from sixfold.systems.rag.serve.replicas import EmbedReplica, ShardReplica
from sixfold.systems.rag.serve.settings import ServeSettings
from sixfold.systems.rag.serve.single import single_process_service


@pytest.mark.parametrize("name", ["probes", "fused_depth", "embed_batch", "concurrency"])
def test_settings_below_one_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name}=0"):
        ServeSettings(Path(), **{name: 0})


@pytest.mark.parametrize(("settings", "depth", "probes"), [({}, 100, None), ({"fused_depth": 7, "probes": 3}, 7, 3)])
def test_depth_and_probes_are_what_shards_are_asked_for(
    served_index: Path,
    serve_app: Any,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, Any],
    depth: int,
    probes: int | None,
) -> None:
    asked: list[tuple[str, Any]] = []
    call = ShardReplica.call

    async def heard(self: ShardReplica, generation: int, calls: Any) -> Any:
        asked.extend(one for of in calls.values() for one in of)
        return await call(self, generation, calls)

    monkeypatch.setattr(ShardReplica, "call", heard)
    client = serve_app(create_app(single_process_service(ServeSettings(served_index, **settings))))
    status, _, _ = client.ask("/v1/search", {"query": "how do I read json?", "k": 5})
    assert status == 200
    vector = next(args for method, args in asked if method == "vector")
    assert (vector[1], vector[2]) == (depth, probes)
    lexical = next(args for method, args in asked if method == "lexical")
    assert lexical[2] == depth


def test_a_smaller_batch_lets_others_in_more_often_and_gives_the_same_vectors() -> None:
    texts = [f"passage number {at} about sockets and queues" for at in range(6)]
    embedded: list[np.ndarray] = []
    turns: list[int] = []

    async def run(at_once: int) -> None:
        done = False
        turn = 0

        async def other() -> None:
            nonlocal turn
            while not done:
                turn += 1
                await asyncio.sleep(0)

        waiting = asyncio.create_task(other())
        embedded.append(await EmbedReplica(texts_at_once=at_once).embed(texts))
        done = True
        await waiting
        turns.append(turn)

    for at_once in (1, 6):
        asyncio.run(run(at_once))
    np.testing.assert_array_equal(*embedded)
    assert turns[0] > turns[1]
