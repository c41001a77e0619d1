"""The HTTP interface of one process: shapes, bounds, errors, who may ask, traces."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sixfold.systems.rag.build_embed import embedder
from sixfold.systems.rag.retrieve import Retriever
from sixfold.systems.rag.serve.app import create_app
from sixfold.systems.rag.serve.settings import ServeSettings
from sixfold.systems.rag.serve.single import single_process_service

QUESTIONS = ["how do I read json?", "socket default size", "ValueError zip", "calendar", "zzz qqq"]


@pytest.fixture
def client(served_index: Path, serve_app: Any) -> Any:
    return serve_app(create_app(single_process_service(ServeSettings(served_index))))


def test_search_is_that_of_one_process(client: Any, reference: Retriever) -> None:
    for question in QUESTIONS:
        status, _, answer = client.ask("/v1/search", {"query": question, "k": 5})
        assert status == 200
        expected = reference.search(question, 5)
        assert [hit["chunk_id"] for hit in answer["data"]] == [passage.chunk_id for passage in expected]
        assert [hit["lexical_score"] for hit in answer["data"]] == [passage.lexical_score for passage in expected]
        assert answer["coverage"]["percent"] == 100
        assert answer["generation"] == 1
        assert not answer["cached"]


def test_the_second_time_it_comes_from_the_cache_and_is_the_same(client: Any) -> None:
    first, second = (client.ask("/v1/search", {"query": "queue", "k": 3})[2] for _ in range(2))
    assert second["cached"]
    assert second["data"] == first["data"]


def test_filters_restrict_the_search(client: Any) -> None:
    _, _, answer = client.ask("/v1/search", {"query": "json", "filters": {"host": "host1.test"}, "k": 50})
    assert answer["data"]
    assert {hit["url"].split("/")[2] for hit in answer["data"]} == {"host1.test"}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"query": ""}, "query"),
        ({"query": "x", "k": 0}, "k"),
        ({"query": "x", "k": 101}, "k"),
        ({"query": "x" * 4001}, "query"),
        ({"query": "x", "deadline_s": 1e9}, "deadline_s"),
        ({"query": "x", "unknown": 1}, "unknown"),
        ({"query": 3}, "query"),
        ({"k": 3}, "query"),
        ({"query": "x", "filters": {"language": "<script>"}}, "filters.language"),
        ([1, 2], None),
    ],
)
def test_bad_input_names_the_field_in_the_shape_of_openai(client: Any, body: Any, param: str | None) -> None:
    status, _, answer = client.ask("/v1/search", body)
    assert status == 400
    assert set(answer["error"]) == {"message", "type", "param", "code"}
    assert answer["error"]["type"] == "invalid_request_error"
    assert answer["error"]["param"] == param


@pytest.mark.parametrize("raw", [b"{nope", b"\xff\xfe", b"[" * 100_000, b'{"query": "\\ud800"}', b""])
def test_a_body_that_is_no_json_is_the_callers_mistake(client: Any, raw: bytes) -> None:
    status, _, answer = client.ask("/v1/search", raw=raw)
    assert status == 400
    assert answer["error"]["type"] == "invalid_request_error"


def test_a_question_of_white_space_is_refused_in_words(client: Any) -> None:
    status, _, answer = client.ask("/v1/search", {"query": " \n "})
    assert status == 400
    assert "empty" in answer["error"]["message"]


def test_bodies_are_bounded(client: Any) -> None:
    status, _, answer = client.ask("/v1/search", raw=b" " * 16_000_001)
    assert status in (413, 0)  # the connection may be closed on one who goes on sending
    if status:
        assert answer["error"]["code"] == "too_large"


def test_embeddings_are_those_of_the_encoder_in_both_formats(client: Any) -> None:
    texts = ["one text", "another"]
    expected = embedder().embed(texts)
    for kind in ("float", "base64"):
        _, _, answer = client.ask(
            "/v1/embeddings", {"input": texts, "encoding_format": kind, "model": "x", "user": "u"}
        )
        vectors = [item["embedding"] for item in answer["data"]]
        if kind == "base64":
            vectors = [np.frombuffer(base64.b64decode(vector), "<f4") for vector in vectors]
        assert np.allclose(vectors, expected, atol=1e-6)
    status, _, answer = client.ask("/v1/embeddings", {"input": "x", "dimensions": 10})
    assert status == 400
    assert answer["error"]["param"] == "dimensions"


def test_the_callers_trace_goes_on_and_a_malformed_one_is_replaced(client: Any) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    _, headers, _ = client.ask("/healthz", headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    version, of, span, flags = headers["traceparent"].split("-")
    assert (version, of, flags) == ("00", trace, "01")
    assert span != "00f067aa0ba902b7"
    _, headers, _ = client.ask("/healthz", headers={"traceparent": "00-zz-1-1"})
    assert len(headers["traceparent"]) == 55


def test_pages_of_other_sites_and_other_names_are_refused(client: Any) -> None:
    assert client.ask("/v1/search", {"query": "x"}, headers={"Origin": "https://evil.example"})[0] == 403
    assert client.ask("/healthz", headers={"Host": "evil.example"})[0] == 403
    assert client.ask("/v1/search", {"query": "x"}, headers={"Origin": client.address})[0] == 200


def test_metrics_count_requests_by_route_and_never_by_what_was_asked(client: Any) -> None:
    client.ask("/v1/search", {"query": "a very secret question"})
    client.ask("/no/such/page/secret")
    _, _, text = client.ask("/metrics")
    assert 'sixfold_requests_total{route="/v1/search",status="200"} 1.0' in text
    assert "secret" not in text
    assert "sixfold_index_generation 1.0" in text


def test_what_is_not_there_is_a_404_in_the_same_shape(client: Any) -> None:
    for path in ("/v1/nothing", "/v1/passages/" + "0" * 32):
        status, _, answer = client.ask(path)
        assert status == 404
        assert answer["error"]["type"] == "not_found_error"


def test_the_token_guards_writes_on_loopback_and_everything_elsewhere(served_index: Path, serve_app: Any) -> None:
    service = single_process_service(ServeSettings(served_index))
    client = serve_app(create_app(service, token="open sesame"))
    assert client.ask("/v1/search", {"query": "json"})[0] == 200
    status, _, answer = client.ask("/v1/takedowns", {"url": "http://x.test/"})
    assert status == 401
    assert answer["error"]["type"] == "authentication_error"
    assert "sesame" not in str(answer)


def test_the_schema_describes_every_route(client: Any) -> None:
    _, _, schema = client.ask("/openapi.json")
    assert {"/v1/search", "/v1/embeddings", "/healthz", "/readyz", "/metrics"} <= set(schema["paths"])
