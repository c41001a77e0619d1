"""`sixfold rag serve`: a fleet in the foreground, until it is interrupted."""

from __future__ import annotations

import json
import signal
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from types import FrameType
from typing import Any

from rich.console import Console

from sixfold.errors import ConfigError, PrerequisiteError
from sixfold.lab.lab import Lab
from sixfold.systems.rag.serve.fleet import Fleet, start_fleet
from sixfold.systems.rag.serve.settings import ServeSettings

__all__ = ["FirstAnswer", "ask_fleet", "run_serve", "usual_port", "wait_until_ready"]

USUAL_PORT = 8600
_READY_S = 120.0
_CORES_OF_A_FLEET = 2  # slots that Ray is started with: replicas share them


@dataclass(frozen=True, slots=True)
class FirstAnswer:
    """What the first question came to."""

    question: str
    answer: str
    sources: tuple[str, ...]
    seconds: float


def run_serve(
    settings: ServeSettings, *, address: str | None, question: str | None, once: bool, as_json: bool
) -> dict[str, Any]:
    """Serve until SIGINT or SIGTERM, or with `once` until the first question is answered; what was started.

    address: of a Ray cluster to serve on. Raises PrerequisiteError if the fleet does not become ready.
    """
    lab = Lab.connect(address) if address else Lab.local(workers=_CORES_OF_A_FLEET)
    with lab, start_fleet(settings) as fleet:
        ready = wait_until_ready(fleet)
        told: dict[str, Any] = {"page": fleet.address, "api": f"{fleet.address}/v1", "generation": ready["generation"]}
        if question is not None:
            first = ask_fleet(fleet.address, question)
            told["first_answer"] = {
                "question": first.question, "answer": first.answer, "sources": list(first.sources),
                "seconds": round(first.seconds, 3),
            }  # fmt: skip
        if as_json:
            print(json.dumps(told), flush=True)
        else:
            _tell(told, keeps_on=not once)
        if not once:
            _wait_for_the_end()
    return told


def usual_port(host: str) -> int:
    """`USUAL_PORT`, or one that is free at the moment."""
    for port in (USUAL_PORT, 0):
        try:
            with socket.create_server((host, port)) as listener:
                free: int = listener.getsockname()[1]
                return free
        except OSError:
            continue
    raise ConfigError(f"cannot listen on {host}: is that an address of this machine?")


def wait_until_ready(fleet: Fleet, timeout_s: float = _READY_S) -> dict[str, Any]:
    """What /readyz says once it is 200; PrerequisiteError after `timeout_s`."""
    end_s = time.monotonic() + timeout_s
    while True:
        try:
            with urllib.request.urlopen(f"{fleet.address}/readyz", timeout=5) as response:  # noqa: S310
                ready: dict[str, Any] = json.load(response)
                return ready
        except (OSError, ValueError) as error:
            if time.monotonic() > end_s:
                raise PrerequisiteError(
                    f"the fleet at {fleet.address} was not ready after {timeout_s:.0f} s ({error}): "
                    "see the logs of Ray Serve; free memory and try again"
                ) from error
        time.sleep(0.1)


def ask_fleet(address: str, question: str, timeout_s: float = 60.0) -> FirstAnswer:
    """One question over HTTP, as any client would ask it. Raises OSError for an answer that is not one."""
    body = json.dumps({"messages": [{"role": "user", "content": question}]}).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{address}/v1/chat/completions", body, headers)  # noqa: S310
    began_s = time.perf_counter()
    with urllib.request.urlopen(request, timeout=timeout_s) as response:  # noqa: S310
        message = json.load(response)["choices"][0]["message"]
    cited = {note["number"]: note["url_citation"]["url"] for note in message["annotations"]}
    sources = tuple(f"[{number}] {url}" for number, url in sorted(cited.items()))
    return FirstAnswer(question, message["content"], sources, time.perf_counter() - began_s)


def _tell(told: dict[str, Any], *, keeps_on: bool) -> None:
    console = Console(highlight=False)
    if (first := told.get("first_answer")) is not None:
        console.print(first["question"], style="bold", markup=False)
        console.print(first["answer"], markup=False)
        for source in first["sources"]:
            console.print(source, style="cyan", markup=False)
        console.print()
    console.print(f"page  {told['page']}", markup=False, soft_wrap=True)
    console.print(f"API   {told['api']}  (OpenAPI: {told['page']}/openapi.json)", markup=False, soft_wrap=True)
    if keeps_on:
        console.print("Ctrl-C ends it", style="dim")
    sys.stdout.flush()


def _wait_for_the_end() -> None:
    ended = threading.Event()

    def end(_: int, __: FrameType | None) -> None:
        ended.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        while not ended.wait(0.5):
            pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
