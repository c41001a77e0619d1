"""The fleet on a real Ray Serve: equal to one process, partial when a shard is gone, whole again by itself."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import make_index
import pytest
from http_client import Client

from sixfold.errors import ConfigError
from sixfold.lab.lab import Lab
from sixfold.systems.rag.build_embed import embedder
from sixfold.systems.rag.index.manifest import Manifest, delete, publish, read_manifest
from sixfold.systems.rag.retrieve import Retriever
from sixfold.systems.rag.serve.fleet import Fleet, shard_name, start_fleet
from sixfold.systems.rag.serve.settings import Replicas, ServeSettings

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]

QUESTIONS = ["how do I read json?", "socket default size", "ValueError zip", "calendar"]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def fleet(ray_lab: Lab, served_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    index = tmp_path_factory.mktemp("fleet") / "index"
    shutil.copytree(served_index, index)
    settings = ServeSettings(
        index, port=free_port(), replicas=Replicas(shard=2), generate=False, cached_questions=0, deadline_s=5.0
    )
    with start_fleet(settings) as running:
        yield running


@pytest.fixture
def client(fleet: Fleet) -> Any:
    client = Client(fleet.address)
    client.wait_until_ready()
    return client


def kill(fleet: Fleet, deployment: str) -> None:
    (pid, *_) = fleet.pids(deployment)  # one that is dying may be listed beside its successor
    os.kill(pid, signal.SIGKILL)


def search(client: Any, question: str, k: int = 8, deadline_s: float = 5.0) -> dict[str, Any]:
    status, _, answer = client.ask("/v1/search", {"query": question, "k": k, "deadline_s": deadline_s})
    assert status == 200
    found: dict[str, Any] = answer
    return found


def until_whole(client: Any, timeout_s: float = 60) -> None:
    end = time.monotonic() + timeout_s
    while search(client, "json")["coverage"]["percent"] < 100:
        assert time.monotonic() < end, "coverage did not become whole again"
        time.sleep(0.2)


def test_the_fleet_answers_as_one_process_does(client: Any, reference: Retriever) -> None:
    for question in QUESTIONS:
        answer = search(client, question)
        assert [hit["chunk_id"] for hit in answer["data"]] == [p.chunk_id for p in reference.search(question, 8)]
        assert answer["coverage"]["percent"] == 100


def test_one_replica_of_two_dies_and_nothing_is_missing(fleet: Fleet, client: Any, reference: Retriever) -> None:
    kill(fleet, shard_name(0, 0))
    for question in QUESTIONS * 3:
        answer = search(client, question)
        assert answer["coverage"]["percent"] == 100
        assert [hit["chunk_id"] for hit in answer["data"]] == [p.chunk_id for p in reference.search(question, 8)]


def test_a_shard_dies_and_only_that_shard_is_missing_and_it_comes_back(fleet: Fleet, client: Any) -> None:
    for _ in range(5):  # on a busy machine the other shard may be late, too, or this one back already
        until_whole(client)
        for copy in range(2):
            kill(fleet, shard_name(1, copy))
        answer = search(client, "how do I read json?", k=20, deadline_s=0.8)
        states = {shard["shard"]: shard["state"] for shard in answer["coverage"]["shards"]}
        searched = {shard for shard, state in states.items() if state == "answered"}
        assert {hit["shard"] for hit in answer["data"]} == searched
        assert answer["coverage"]["percent"] == 50 * len(searched)
        if searched == {0}:
            break
    assert states[0] == "answered"
    assert states[1] in ("failed", "late")
    until_whole(client)
    assert {hit["shard"] for hit in search(client, "how do I read json?", k=20)["data"]} == {0, 1}


def test_a_new_generation_is_answered_from_and_what_was_deleted_is_gone(fleet: Fleet, client: Any) -> None:
    until_whole(client)
    index, question = fleet.settings.index, "the aardvark module"
    now = read_manifest(index)
    new = make_index.indexed("http://new.test/aardvark", ["The aardvark module digs for ants."])
    make_index.write(index, "new", new, embed=embedder().embed, dimension=384)
    publish(index, Manifest(now.generation + 1, (now.shards[0], (*now.shards[1], "new")), now.tombstones, now.settings))
    wait_for_generation(client, now.generation + 1)
    first = search(client, question)["data"][0]
    assert first["chunk_id"] == new[0].chunk.chunk_id
    delete(index, documents=[new[0].chunk.doc_id])
    wait_for_generation(client, now.generation + 2)
    assert new[0].chunk.chunk_id not in [hit["chunk_id"] for hit in search(client, question)["data"]]


def wait_for_generation(client: Any, generation: int) -> None:
    end = time.monotonic() + 20
    while search(client, "json")["generation"] < generation:
        assert time.monotonic() < end, "the new generation was not taken into use"
        time.sleep(0.05)


def test_the_gateway_dies_and_comes_back(fleet: Fleet, client: Any) -> None:
    until_whole(client)
    before = search(client, QUESTIONS[0])["data"]
    (old,) = fleet.pids("gateway")
    os.kill(old, signal.SIGKILL)
    end = time.monotonic() + 60
    body = {"query": QUESTIONS[0], "k": 8, "deadline_s": 5}
    while fleet.pids("gateway") in ([], [old]) or (answer := client.ask("/v1/search", body))[0] != 200:
        assert time.monotonic() < end, "the gateway did not come back"
        time.sleep(0.2)
    assert answer[2]["data"] == before


def test_without_a_gateway_a_request_ends_at_its_deadline(fleet: Fleet, client: Any) -> None:
    (pid,) = fleet.pids("gateway")
    os.kill(pid, signal.SIGKILL)
    waited_s, statuses = [], []
    while 200 not in statuses:
        began_s = time.monotonic()
        statuses.append(client.ask("/v1/search", {"query": "json", "deadline_s": 0.5})[0])
        waited_s.append(time.monotonic() - began_s)
        assert sum(waited_s) < 60, "the gateway did not come back"
    assert 503 in statuses
    assert set(statuses) <= {0, 200, 500, 503}, "0 and 500: it died with the request"
    assert max(waited_s) < 3


def test_a_header_that_is_not_utf8_is_no_error_of_ours(client: Any) -> None:
    assert client.ask("/v1/index", headers={"x-request-id": "\xe9\xe9"})[0] == 200


def test_a_silent_encoder_holds_up_one_question_at_a_time(fleet: Fleet, client: Any) -> None:
    (pid,) = fleet.pids("embed")
    os.kill(pid, signal.SIGSTOP)
    try:
        assert "vectors" in search(client, "first to wait", deadline_s=2)["degraded"]
        with ThreadPoolExecutor(4) as threads:
            began_s = time.monotonic()

            def one(n: int) -> tuple[bool, float]:
                degraded = search(client, f"json {n}", deadline_s=4)["degraded"]
                return "vectors" in degraded, time.monotonic() - began_s

            answers = list(threads.map(one, range(4)))
    finally:
        os.kill(pid, signal.SIGCONT)
    assert all(lexical for lexical, _ in answers)
    took_s = sorted(took for _, took in answers)
    assert took_s[2] < 1 < took_s[3], "three did not wait for it, one asked whether it is back"
    end = time.monotonic() + 30
    while "vectors" in search(client, "json again")["degraded"]:
        assert time.monotonic() < end, "the encoder was not asked again"


def test_hosts_beyond_loopback_need_a_token(served_index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SIXFOLD_TOKEN", raising=False)
    with pytest.raises(ConfigError, match="SIXFOLD_TOKEN"):
        start_fleet(ServeSettings(served_index, host="0.0.0.0"))
