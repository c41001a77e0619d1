"""URLs: one canonical spelling each, and the links of a page."""

from __future__ import annotations

import re
from functools import lru_cache
from html import unescape
from urllib.parse import urljoin, urlsplit

from w3lib.url import canonicalize_url, safe_url_string

__all__ = ["MAX_URL_CHARS", "LinkExtractor", "canonical_url", "host_of"]

MAX_URL_CHARS = 2_000  # longer ones are traps far more often than pages
_DEFAULT_PORTS = {"http": 80, "https": 443}

# A full parse costs about ten times this scan. Comments, scripts and styles are cut out first, because
# that is where a scan sees links that a parser does not. Both expressions are linear in the page: what is
# never closed runs to its end, a tag stops at the next "<", and quoted values are bounded.
_HIDDEN = re.compile(rb"<!--.*?(?:-->|\Z)|<(script|style|textarea|template)\b.*?(?:</\1\b|\Z)", re.I | re.S)
_HREF = re.compile(
    rb"""<(a|area|base)\s(?:[^<>"']|"[^"]{0,2000}"|'[^']{0,2000}')*?(?<=[\s"'])href\s*=\s*"""
    rb"""(?:"([^"]{0,4000})"|'([^']{0,4000})'|([^\s<>"']+))""",
    re.I,
)
_HOST = re.compile(r"[a-z0-9_]([a-z0-9._-]*[a-z0-9_])?|[0-9a-f:.]*:[0-9a-f:.]*")
# What canonical_url leaves as it is, most URLs of most pages, is recognised at a twentieth of its cost.
_PLAIN = re.compile(
    r"https?://[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?(?::(?!80/|443/)[1-9]\d{0,3}|:[1-5]\d{4})?/[A-Za-z0-9_~./-]*"
)
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9_~.-]*")


def canonical_url(url: str) -> str | None:
    """The one spelling of a URL that a crawl uses, or None when it is not one a crawl may follow.

    Only http and https; host in lower case, default port, user, dot segments and fragment dropped, escapes
    normalised (RFC 3986, section 6.2.2). The query keeps its order: some servers care.
    """
    if len(url) > MAX_URL_CHARS:
        return None
    if _PLAIN.fullmatch(url) and "/." not in url:
        return url
    try:
        safe = safe_url_string(url.strip())
        parts = urlsplit(safe)
        host, port, scheme = parts.hostname, parts.port, parts.scheme.lower()
        if scheme not in _DEFAULT_PORTS or not host:
            return None
        host = host.rstrip(".")
        if not host.isascii():
            host = host.encode("idna").decode("ascii").lower()
        if not _HOST.fullmatch(host):
            return None
        # canonicalize_url sorts the query: give it the path alone
        path = urlsplit(str(canonicalize_url(f"http://x{_without_dots(parts.path) or '/'}"))).path
    except ValueError:
        return None
    if ":" in host:
        host = f"[{host}]"
    where = host if port in (None, _DEFAULT_PORTS[scheme]) else f"{host}:{port}"
    result = f"{scheme}://{where}{path}" + (f"?{parts.query}" if parts.query else "")
    return result if len(result) <= MAX_URL_CHARS else None


def _without_dots(path: str) -> str:
    if "/." not in path:
        return path
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            if len(kept) > 1:
                kept.pop()
        elif segment != ".":
            kept.append(segment)
    if path.endswith(("/.", "/..")):
        kept.append("")
    return "/".join(kept)


def host_of(url: str) -> str:
    """The host and port of a canonical URL: the unit of politeness and of partition."""
    start = url.index("//") + 2
    for mark in "/?":
        if (end := url.find(mark, start)) >= 0:
            return url[start:end]
    return url[start:]


class LinkExtractor:
    """Finds the links of pages. What a relative link means on the pages of one folder is worked out once a crawl."""

    def __init__(self) -> None:
        self._resolve = lru_cache(maxsize=131_072)(_resolve)

    def __call__(self, url: str, html: bytes, *, limit: int = 20_000) -> list[str]:
        """The canonical http(s) links of a page, each once, in page order, at most `limit`.

        `url` is the page's own canonical URL. Tags are ASCII in every charset of the web but UTF-16, so the
        bytes are scanned without decoding them.
        """
        if b"<!--" in html or b"<script" in html or b"<SCRIPT" in html or b"<style" in html:
            html = _HIDDEN.sub(b" ", html)
        base = url
        hrefs: dict[bytes, None] = {}
        for tag, double, single, bare in dict.fromkeys(_HREF.findall(html)):
            href = double or single or bare
            if tag[:1] in b"bB" and tag.lower() == b"base":
                base = self._resolve(url, _text(href)) or url
            elif href[:1] != b"#":
                hrefs[href.partition(b"#")[0]] = None
                if len(hrefs) >= limit:
                    break
        folder = base.partition("?")[0].rpartition("/")[0] + "/"
        links: dict[str, None] = {}
        for href in hrefs:
            text = _text(href)
            if text:
                link = self._resolve(base if text[0] == "?" else folder, text)
                if link is not None:
                    links[link] = None
        return list(links)


def _resolve(base: str, href: str) -> str | None:
    try:
        if base[-1] == "/" and _PLAIN_NAME.fullmatch(href):
            return canonical_url(base + href)
        return canonical_url(urljoin(base, href))
    except ValueError:
        return None


def _text(href: bytes) -> str:
    text = href.strip().decode("utf-8", "replace")
    return unescape(text) if "&" in text else text
