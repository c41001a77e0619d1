"""What makes the embedded site as unpleasant as the web: slow, broken, looping, mislabelled, repeated pages.

Everything is drawn from one seed and listed in the site's truth, so that a crawl can be compared with it.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, replace

__all__ = ["PORT_MARK", "Answer", "add_faults", "page_html"]

PORT_MARK = "@PORT@"  # stands for the port in stored pages: it is known only when the server starts
_HTML = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server says to one path of one host."""

    body: bytes
    status: int = 200
    content_type: str = _HTML
    delay_s: float = 0.0
    location: str | None = None
    declared_bytes: int | None = None  # Content-Length when it is a lie; the connection is cut after the body


def page_html(title: str, body: str) -> bytes:
    """A small complete page."""
    head = f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>'
    return f"{head}\n<body><h1>{title}</h1>\n{body}\n</body></html>\n".encode()


Host = dict[str, Answer]


def add_faults(hosts: dict[str, Host], addresses: dict[str, str], seed: int) -> dict[str, list[list[str]]]:
    """Add odd pages to `hosts` (name -> path -> answer) in place; returns kind -> [[host, path], ...].

    Links to the new pages go under "odd" into the caller's index pages. Needs at least one page a host.
    """
    rng = random.Random(seed)
    truth: dict[str, list[list[str]]] = {}
    names = sorted(hosts)
    modules = {name: sorted(p for p in hosts[name] if p.startswith("/pydoc/")) for name in names}

    def note(kind: str, name: str, path: str) -> None:
        truth.setdefault(kind, []).append([name, path])

    def put(kind: str, name: str, path: str, answer: Answer) -> None:
        hosts[name][path] = answer
        note(kind, name, path)

    def pick(count: int) -> list[str]:
        return rng.sample(names, min(count, len(names)))

    every = sorted((name, path) for name in names for path in modules[name])
    for name, path in rng.sample(every, min(len(every), max(2, len(every) // 120))):
        hosts[name][path] = replace(hosts[name][path], delay_s=round(rng.uniform(0.02, 0.04), 3))
        note("slow", name, path)

    for name in pick(4):
        note("missing", name, "/odd/missing.html")  # linked, answered with 404
    for name in pick(2):
        put("server-error", name, "/odd/error.html", Answer(page_html("error", "<p>broken</p>"), status=500))
    for name in pick(2):
        cut = page_html("cut", "<p>this page ends in the middle</p>" * 40)
        put("truncated", name, "/odd/cut.html", Answer(cut, declared_bytes=len(cut) + 5_000))
    for name in pick(4):
        target = rng.choice(modules[name])
        put("redirect", name, "/odd/moved.html", Answer(b"", status=301, location=target))
    for name in pick(2):
        other = rng.choice(names)
        location = f"http://{addresses[other]}:{PORT_MARK}{rng.choice(modules[other])}"
        put("redirect", name, "/odd/elsewhere.html", Answer(b"", status=302, location=location))
    for name in pick(2):
        put("redirect-loop", name, "/odd/loop-a", Answer(b"", status=302, location="/odd/loop-b"))
        put("redirect-loop", name, "/odd/loop-b", Answer(b"", status=302, location="loop-a"))
    for name in pick(2):
        for number in (1, 2, 3):
            following = f'<a href="../cycle/./{number % 3 + 1}.html#top">next</a> <a href="#top">here</a>'
            put("cycle", name, f"/odd/cycle/{number}.html", Answer(page_html(f"cycle {number}", following)))
    for name in pick(2):
        text = "<p>" + "Ein Wörterbuch für Käufer größerer Mengen: déjà vu, señor, naïve façade. " * 12 + "</p>"
        latin = page_html("charset", text).decode().replace('<meta charset="utf-8">', "").encode("latin-1")
        put("wrong-charset", name, "/odd/charset.html", Answer(latin))  # declared as UTF-8
    for name in pick(2):
        binary = b"\x7fELF\x02\x01\x01\x00" + rng.randbytes(6_000)
        put("binary-as-html", name, "/odd/binary.html", Answer(binary))
    for name in pick(2):
        put("wrong-type", name, "/odd/archive.zip", Answer(rng.randbytes(900), content_type="application/zip"))
    for name in pick(3):
        source = rng.choice(modules[name])
        copy = "/odd/copy/" + source.rpartition("/")[2]
        answer = replace(hosts[name][source], body=_rebased(hosts[name][source].body), delay_s=0.0)
        hosts[name][source] = replace(hosts[name][source], body=answer.body)
        put("duplicate", name, copy, answer)
        note("duplicate-of", name, source)
    for name in pick(3):
        source = rng.choice(modules[name])
        body = _rebased(hosts[name][source].body).replace(b"</body>", b"<p>Revised edition.</p></body>", 1)
        put("near-duplicate", name, "/odd/revised/" + source.rpartition("/")[2], Answer(body))
        note("near-duplicate-of", name, source)

    for name in pick(3):  # rules and what they forbid: an endless trap, and one real page
        forbidden = rng.choice(modules[name])
        note("disallowed", name, "/private/trap/1")
        note("disallowed", name, forbidden)
        rules = f"User-agent: *\nDisallow: /private/\nDisallow: {forbidden}$\n"
        put("robots", name, "/robots.txt", Answer(rules.encode(), content_type="text/plain"))
    small = [name for name in names if len(modules[name]) <= 4 and "/robots.txt" not in hosts[name]]
    for name in rng.sample(small, min(2, len(small))):
        slowly = b"User-agent: *\nCrawl-delay: 0.2\nAllow: /\n"
        put("crawl-delay", name, "/robots.txt", Answer(slowly, content_type="text/plain"))
    return truth


def _rebased(body: bytes) -> bytes:
    """A page whose relative links also work from another folder."""
    return re.sub(rb'href="(?=[\w.]+\.html)', b'href="/pydoc/', body)
