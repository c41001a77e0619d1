"""Answers over HTTP: their shape, their citations, their stream, and what they leave out for want of time."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import pytest

from sixfold.parts.language_model import Delta, Usage
from sixfold.systems.rag.serve.app import create_app
from sixfold.systems.rag.serve.settings import ServeSettings
from sixfold.systems.rag.serve.single import single_process_service

KNOWN = "What does the class Json0x0 raise when the json is not valid?"
UNKNOWN = "Who painted the ceiling of the Sistine Chapel?"


class Scripted:
    """Stands in for a language model whose words are under test; the real one is in tests/parts."""

    def __init__(self, *pieces: str) -> None:
        self.pieces = pieces
        self.asked: list[Sequence[Any]] = []

    async def stream(
        self, messages: Sequence[Any], *, max_tokens: int, deadline_s: float, temperature: float, seed: int | None
    ) -> AsyncGenerator[Delta, None]:
        self.asked.append(messages)
        for piece in self.pieces:
            yield Delta(piece)
        yield Delta("", "stop", Usage(100, 7))


@pytest.fixture
def start(served_index: Path, serve_app: Any) -> Any:
    def run(model: Scripted | None = None, **settings: Any) -> Any:
        service = single_process_service(ServeSettings(served_index, **settings), model=model)
        return serve_app(create_app(service))

    return run


def ask(client: Any, question: str, **more: Any) -> dict[str, Any]:
    status, _, body = client.ask("/v1/chat/completions", {"messages": [{"role": "user", "content": question}], **more})
    assert status == 200, body
    answer: dict[str, Any] = body
    return answer


def test_a_quotation_cites_the_exact_span(start: Any) -> None:
    answer = ask(start(), KNOWN)
    message, told = answer["choices"][0]["message"], answer["sixfold"]
    assert told["mode"] == "extractive"
    assert "ValueError" in message["content"]
    assert message["annotations"]
    passages = {passage["number"]: passage for passage in told["passages"]}
    for note in message["annotations"]:
        at = note["url_citation"]
        assert message["content"][at["start_index"] : at["end_index"]] == f"[{note['number']}]"
        passage = passages[note["number"]]
        assert passage["chunk_id"] == note["chunk_id"]
        assert passage["text"][note["passage_start"] : note["passage_end"]] == note["quote"]
        assert at["url"] == passage["url"]
    assert {sentence["verdict"] for sentence in told["sentences"]} == {"quoted"}
    assert told["coverage"]["percent"] == 100
    assert answer["usage"]["total_tokens"] == 0
    assert answer["object"] == "chat.completion"


def test_without_evidence_it_abstains_and_says_why(start: Any) -> None:
    answer = ask(start(), UNKNOWN)
    assert answer["sixfold"]["mode"] == "abstained"
    assert answer["sixfold"]["reason"]
    assert answer["choices"][0]["message"]["annotations"] == []


def test_what_the_model_says_is_shown_only_if_a_passage_bears_it_out(start: Any) -> None:
    lies = Scripted("The class Json0x0 raises KeyError when it is bored. ", "It was invented in 1742.")
    answer = ask(start(lies), KNOWN)
    assert lies.asked
    content = answer["choices"][0]["message"]["content"]
    assert "KeyError" not in content
    assert "1742" not in content
    assert answer["sixfold"]["mode"] == "extractive"
    assert answer["sixfold"]["fallback"]
    truth = Scripted("The class Json0x0 raises ValueError when the json is not valid.")
    answer = ask(start(truth), KNOWN)
    assert answer["sixfold"]["mode"] == "generated"
    assert answer["sixfold"]["sentences"][0]["citations"]
    assert answer["usage"] == {"prompt_tokens": 100, "completion_tokens": 7, "total_tokens": 107}


def test_without_time_for_the_model_it_quotes_and_says_so(start: Any) -> None:
    model = Scripted("The class Json0x0 raises ValueError when the json is not valid.")
    answer = ask(start(model), KNOWN, deadline_s=0.5)
    assert answer["sixfold"]["mode"] == "extractive"
    assert "generation" in answer["sixfold"]["degraded"]
    assert not model.asked


def test_the_stream_adds_up_to_the_answer(start: Any) -> None:
    client = start()
    whole = ask(client, KNOWN)
    body = {
        "messages": [{"role": "user", "content": KNOWN}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    request = urllib.request.Request(
        client.address + "/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        assert response.headers.get_content_type() == "text/event-stream"
        events = [line[6:] for line in response.read().decode().split("\n\n") if line]
    assert events[-1] == "[DONE]"
    chunks = [json.loads(event) for event in events[:-1]]
    text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks if chunk["choices"])
    assert text == whole["choices"][0]["message"]["content"]
    last = [chunk for chunk in chunks if chunk["choices"] and chunk["choices"][0]["finish_reason"]]
    assert len(last) == 1
    assert last[0]["choices"][0]["delta"]["annotations"] == whole["choices"][0]["message"]["annotations"]
    assert last[0]["sixfold"]["sentences"] == whole["sixfold"]["sentences"]
    assert chunks[1]["sixfold"]["passages"] == whole["sixfold"]["passages"]
    assert chunks[-1]["usage"]["total_tokens"] == 0
    assert len({chunk["id"] for chunk in chunks}) == 1


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [{"role": "system", "content": "x"}],
        [{"role": "user", "content": "   "}],
        [{"role": "user", "content": "x" * 5000}],
    ],
)
def test_a_conversation_without_a_question_is_refused(start: Any, messages: list[dict[str, str]]) -> None:
    status, _, body = start().ask("/v1/chat/completions", {"messages": messages})
    assert status == 400
    assert body["error"]["param"] == "messages"


def test_the_last_question_of_a_conversation_counts_and_unknown_fields_are_passed_over(start: Any) -> None:
    messages = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": UNKNOWN},
        {"role": "assistant", "content": "I do not know."},
        {"role": "user", "content": [{"type": "text", "text": KNOWN}]},
    ]
    status, _, body = start().ask(
        "/v1/chat/completions", {"messages": messages, "model": "gpt", "top_p": 1, "user": "u", "tools": []}
    )
    assert status == 200
    assert body["model"] == "gpt"
    assert "ValueError" in body["choices"][0]["message"]["content"]


def test_overload_is_a_503_that_says_when_to_come_back(start: Any) -> None:
    client = start(concurrency=1)
    status, headers, body = client.ask(
        "/v1/chat/completions", {"messages": [{"role": "user", "content": KNOWN}], "deadline_s": 0.05}
    )
    # A service that has measured nothing takes 0.05 s for usual, and keeps a fifth of the budget for what varies.
    assert status == 503
    assert int(headers["retry-after"]) >= 1
    assert body["error"]["type"] == "overloaded_error"


def test_a_fleet_without_a_writer_says_so(start: Any) -> None:
    client = start()
    status, _, body = client.ask("/v1/documents", {"documents": [{"url": "http://a.test/", "text": "x"}]})
    assert status == 501
    assert body["error"]["code"] == "no_writer"
    status, _, body = client.ask("/v1/takedowns", {"url": "http://a.test/", "host": "a.test"})
    assert status == 400


def test_what_the_page_shows_of_the_index(start: Any) -> None:
    client = start()
    _, _, index = client.ask("/v1/index")
    assert index["passages"] == 48
    assert {host["host"] for host in index["hosts"]} == {"host0.test", "host1.test"}
    _, _, builds = client.ask("/v1/builds")
    assert builds == {"builds": []}
    assert client.ask("/v1/why?url=http://nowhere.test/")[0] == 404
    assert client.ask("/v1/why?url=/etc/passwd")[0] == 400
