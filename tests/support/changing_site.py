"""A small web site on loopback whose pages a test changes while it runs; answers conditional requests."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class ChangingSite:
    """`pages`: path -> HTML; a number instead is a status; a text that begins with "->" redirects there."""

    def __init__(self, pages: dict[str, str | int], *, validators: bool = True) -> None:
        self.pages, self.validators = pages, validators
        self.requests: list[tuple[str, int]] = []  # path, status
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                status, body, headers = site._answer(self.path, self.headers.get("If-None-Match"))
                site.requests.append((self.path, status))
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def _answer(self, path: str, etag: str | None) -> tuple[int, bytes, dict[str, str]]:
        page = self.pages.get(path, 404)
        if isinstance(page, int):
            return page, b"", {}
        if page.startswith("->"):
            return 301, b"", {"Location": page[2:]}
        body = page.encode()
        kind = "text/plain" if path == "/robots.txt" else "text/html"
        mine = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        if self.validators and etag == mine:
            return 304, b"", {"ETag": mine}
        return 200, body, {"Content-Type": kind, **({"ETag": mine} if self.validators else {})}

    def asked(self) -> list[str]:
        """The paths that were asked for since the last time."""
        paths = [path for path, _ in self.requests]
        self.requests.clear()
        return paths

    def __enter__(self) -> "ChangingSite":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)
