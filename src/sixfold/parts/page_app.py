"""What every service that serves a page of `web/` does alike: its files, its headers, and who may ask for them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files

from starlette.applications import Starlette
from starlette.staticfiles import StaticFiles

__all__ = ["PAGE_HEADERS", "mount_page", "names_loopback"]

# A page needs nothing from elsewhere; what it shows of other people's texts is never a script.
PAGE_HEADERS: Mapping[str, str] = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'self'; frame-ancestors 'self'; base-uri 'none'; form-action 'none'",
    "cross-origin-resource-policy": "same-origin",
}
_LOOPBACK_NAMES = {"127.0.0.1", "localhost", "[::1]"}


def mount_page(app: Starlette, room: str) -> None:
    """Serve web/ROOM at the root, and what all pages share at /shared; routes that were added before stay."""
    web = files("sixfold") / "web"
    if (web / room).is_dir():
        app.mount("/shared", StaticFiles(directory=str(web / "shared")), name="shared")
        app.mount("/", StaticFiles(directory=str(web / room), html=True), name="page")


def names_loopback(host: str) -> bool:
    """Whether a Host header names this machine's loopback: a page of another site can make a browser ask there."""
    name, _, port = host.rpartition(":")
    return (name if port.isdecimal() else host).lower() in _LOOPBACK_NAMES
