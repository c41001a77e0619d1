"""A small real corpus, builds of it, and what of an index has to be the same bytes."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from html import escape
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any
from uuid import NAMESPACE_URL, uuid5

# Sections of the language reference: prose, long enough for the quality rules, and all about something else.
TOPICS = (
    "assert", "assignment", "atom-identifiers", "attribute-access", "break", "callable-types", "calls", "class",
    "conversions", "debugger", "dynamic-features", "exceptions", "formatstrings", "global", "import", "lambda",
    "naming", "numeric-types",
)  # fmt: skip
PRESET = "documentation"


def page(topic: str, *, more: str = "") -> bytes:
    """One topic of the language reference as a page."""
    text = topics[topic][:6_000]
    paragraphs = "".join(f"<p>{escape(' '.join(part.split()))}</p>" for part in text.split("\n\n"))
    return f"<html><head><title>{topic}</title></head><body><main>{paragraphs}{more}</main></body></html>".encode()


def url(topic: str) -> str:
    return f"http://docs.example/{topic}.html"


def record(address: str, body: bytes, *, mime: str = "text/html", headers: str = "") -> bytes:
    """One response as a WARC record in a gzip member of its own."""
    http = f"HTTP/1.1 200 OK\nContent-Type: {mime}\n{headers}Content-Length: {len(body)}\n\n".replace("\n", "\r\n")
    content = http.encode() + body
    head = (
        f"WARC/1.1\nWARC-Type: response\nWARC-Record-ID: <urn:uuid:{uuid5(NAMESPACE_URL, address)}>\n"
        f"WARC-Date: 2026-01-01T00:00:00Z\nWARC-Target-URI: {address}\n"
        f"Content-Type: application/http;msgtype=response\nContent-Length: {len(content)}\n\n"
    )
    return gzip.compress(head.replace("\n", "\r\n").encode() + content + b"\r\n\r\n", 6, mtime=0)


def write_warc(path: Path, pages: Iterable[tuple[str, bytes]]) -> str:
    """A WARC file of pages, and its path."""
    path.write_bytes(b"".join(record(address, body) for address, body in pages))
    return str(path)


def corpus(folder: Path) -> list[str]:
    """Three WARC files, six pages each; one page is there twice, one almost."""
    pages = [(url(topic), page(topic)) for topic in TOPICS]
    almost = page("calls", more="<p>Something was added to this page later on.</p>")
    pages += [("http://mirror.example/class.html", page("class")), ("http://mirror.example/calls.html", almost)]
    return [write_warc(folder / f"{n}.warc.gz", pages[n::3]) for n in range(3)]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "sixfold", *map(str, arguments)]


def sixfold(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(command(*arguments), capture_output=True, text=True, timeout=120, check=False, **options)


def build_arguments(inputs: list[str], index: Path, *, workers: int = 0) -> list[str]:
    return ["rag", "build", *inputs, "--out", str(index), "--workers", str(workers), "--preset", PRESET, "--json"]


def built(inputs: list[str], index: Path, *, workers: int = 0) -> dict[str, Any]:
    """Build by the command, and its summary."""
    done = sixfold(*build_arguments(inputs, index, workers=workers))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


def killed(arguments: list[str], when: Callable[[], bool], *, delay_s: float = 0.0) -> bool:
    """Start the command in a process group of its own and end the group `delay_s` after `when`; was it alive?"""
    process = subprocess.Popen(
        command(*arguments), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    )
    with process:
        until = time.monotonic() + 60
        while process.poll() is None and not when() and time.monotonic() < until:
            time.sleep(0.001)
        time.sleep(delay_s)
        alive = process.poll() is None
        if alive:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert alive or process.returncode == 0, process.stderr.read().decode()
    return alive


def index_bytes(index: Path) -> dict[str, bytes]:
    """What a reader of the index sees."""
    kept = [index / "manifest.json"]
    for folder in ("segments", "tombstones"):
        kept += [p for p in (index / folder).rglob("*") if p.is_file() and ".partial" not in str(p)]
    return {str(path.relative_to(index)): path.read_bytes() for path in sorted(kept)}


def journals(index: Path) -> list[Path]:
    return sorted(index.glob("builds/*/journal/*.jsonl"))


def finished(index: Path) -> int:
    """Records that an unfinished build has an outcome for."""
    return sum(path.read_bytes().count(b'{"at"') for path in journals(index))


def keep_journals(index: Path, folder: Path) -> None:
    """Link the journals elsewhere: they are deleted when their part is whole, and these links go on growing."""
    folder.mkdir(exist_ok=True)
    for path in journals(index):
        link = folder / path.name
        if not (link.exists() and link.samefile(path)):
            link.unlink(missing_ok=True)
            os.link(path, link)


def begun_again(journal: Path) -> list[int]:
    """Positions that were begun although they had an outcome."""
    done: set[int] = set()
    again = []
    for line in journal.read_bytes().splitlines():
        entry = json.loads(line)
        if "at" in entry:
            done.add(entry["at"])
        elif entry["begin"] in done:
            again.append(entry["begin"])
    return again
