"""Builds the embedded web: renders the pages, spreads them over hosts, adds the faults, stores it all."""

from __future__ import annotations

import json
import os
import random
import re
import zlib
from collections.abc import Sequence
from dataclasses import asdict
from hashlib import blake2b
from pathlib import Path
from typing import Any

from sixfold.errors import ConfigError
from sixfold.files import replace_bytes, replace_json
from sixfold.systems.rag.site_faults import PORT_MARK, Answer, add_faults, page_html
from sixfold.systems.rag.site_render import module_names, package_versions, render_modules

__all__ = ["HUB_ADDRESS", "MIRRORS", "render_site"]

HUB_ADDRESS = "127.0.0.2"
MIRRORS = ("mirror", "archive", "copy", "reprint")
_FORMAT = 11  # of the stored site: raise it when what is rendered changes


def render_site(
    cache_dir: Path,
    packages: Sequence[str] | None = None,
    limit: int | None = None,
    seed: int = 0,
    *,
    progress: bool = False,
    processes: int | None = None,
) -> Path:
    """Render the site once and return its folder (`site.json`, `truth.json`, `pages.bin`).

    The folder is named after the versions of everything shown, so an upgrade renders again. `limit` bounds
    the number of module pages: whole packages in an order drawn from `seed`. Every package is also on a host of its
    own for each of `MIRRORS`: the web repeats itself as well. ConfigError when none is left.
    """
    modules = _chosen(module_names(packages), limit, seed)
    if not modules:
        raise ConfigError(f"no installed package among {list(packages or [])}: expected import names like 'json'")
    key = json.dumps([_FORMAT, package_versions(modules), modules, seed], sort_keys=True).encode()
    folder = cache_dir / f"site-{blake2b(key, digest_size=8).hexdigest()}"
    if (folder / "site.json").exists():
        return folder
    rendered = _render(modules, processes or os.cpu_count() or 1, progress)
    addresses = _addresses([name for package in modules for name in (package, *_mirrors(package))])
    pages = {page.module: page.html_zlib for page in rendered if page.html_zlib}
    failed = {page.module: page.error for page in rendered if page.error}
    hosts = _assemble(modules, pages, addresses)
    hosts |= {mirror: dict(host) for name, host in hosts.items() for mirror in _mirrors(name)}
    _store(folder, hosts, addresses, failed, seed)
    return folder


def _mirrors(name: str) -> list[str]:
    return [f"{name}-{kind}" for kind in MIRRORS]


def _chosen(modules: dict[str, list[str]], limit: int | None, seed: int) -> dict[str, list[str]]:
    if limit is None:
        return modules
    order = sorted(modules)
    random.Random(seed).shuffle(order)
    kept: dict[str, list[str]] = {}
    for name in order:
        room = limit - sum(len(names) for names in kept.values())
        if room > 0:
            kept[name] = modules[name][:room]
    return dict(sorted(kept.items()))


def _addresses(names: Sequence[str]) -> dict[str, str]:
    """Host name -> address in 127.0/16, from a hash of the name: it stays when other packages come and go."""
    taken = {HUB_ADDRESS}
    addresses: dict[str, str] = {}
    for name in sorted(names):
        number = int.from_bytes(blake2b(name.encode(), digest_size=4).digest(), "big")
        while (address := f"127.0.{1 + number // 254 % 254}.{1 + number % 254}") in taken:
            number += 1
        taken.add(address)
        addresses[name] = address
    return addresses


def _render(modules: dict[str, list[str]], processes: int, progress: bool) -> list[Any]:
    from rich.console import Console
    from rich.progress import Progress

    total = sum(len(names) for names in modules.values())
    with Progress(console=Console(stderr=True), disable=not progress, transient=True) as bar:
        task = bar.add_task("rendering the embedded site", total=total)
        return render_modules(modules, processes=processes, on_page=lambda _: bar.advance(task))


def _assemble(
    modules: dict[str, list[str]], pages: dict[str, bytes], addresses: dict[str, str]
) -> dict[str, dict[str, Answer]]:
    link = re.compile(rb'<a href="([\w.]+)\.html(#[^"]*)?">(.*?)</a>', re.S)
    hosts: dict[str, dict[str, Answer]] = {}
    for name, names in modules.items():

        def rewrite(match: re.Match[bytes], here: str = name) -> bytes:
            target, fragment, text = match[1].decode(), match[2] or b"", match[3]
            top = target.partition(".")[0]
            if target not in pages:
                return text  # not on this site
            base = "" if top == here else f"http://{addresses[top]}:{PORT_MARK}/pydoc/"
            return b'<a href="%s%s.html%s">%s</a>' % (base.encode(), target.encode(), fragment, text)

        host = {}
        for module in names:
            if module in pages:
                html = zlib.decompress(pages[module]).replace(b'<a href=".">', b'<a href="/">')
                host[f"/pydoc/{module}.html"] = Answer(link.sub(rewrite, html))
        if host:
            hosts[name] = host
    return hosts


def _store(
    folder: Path,
    hosts: dict[str, dict[str, Answer]],
    addresses: dict[str, str],
    failed: dict[str, str | None],
    seed: int,
) -> None:
    faults = add_faults(hosts, addresses, seed)
    for name, host in hosts.items():
        odd = sorted({path for kind in faults.values() for where, path in kind if where == name})
        paths = [
            *sorted(p for p in host if p.startswith("/pydoc/")),
            *(p for p in odd if not p.startswith(("/pydoc/", "/robots"))),
        ]
        items = "\n".join(f'<li><a href="{p}">{p.rpartition("/")[2]}</a></li>' for p in paths)
        host["/"] = Answer(page_html(f"{name}: index of pages", f"<ul>\n{items}\n</ul>"))
    items = "\n".join(f'<li><a href="http://{addresses[n]}:{PORT_MARK}/">{n}</a></li>' for n in sorted(hosts))
    everything = {addresses[name]: host for name, host in hosts.items()}
    everything[HUB_ADDRESS] = {"/": Answer(page_html("hub: every host of this web", f"<ul>\n{items}\n</ul>"))}

    forbidden = {(addresses[n], p) for n, p in faults.get("disallowed", [])}
    rows, blob, expected = [], bytearray(), []
    for address in sorted(everything):
        for path, answer in sorted(everything[address].items()):
            packed = zlib.compress(answer.body, 6)
            meta = {k: v for k, v in asdict(answer).items() if k != "body"}
            rows.append([address, path, len(blob), len(packed), meta])
            blob += packed
            readable = answer.content_type.startswith("text/") and answer.declared_bytes is None
            if answer.status == 200 and readable and path != "/robots.txt" and (address, path) not in forbidden:
                expected.append(f"http://{address}:{PORT_MARK}{path}")
    truth = {
        "seed": seed,
        "hub": f"http://{HUB_ADDRESS}:{PORT_MARK}/",
        "hosts": {addresses[n]: n for n in sorted(hosts)},
        "pages": sorted(expected),
        "faults": {
            kind: [f"http://{addresses[n]}:{PORT_MARK}{p}" for n, p in found] for kind, found in sorted(faults.items())
        },
        "not_rendered": failed,
    }
    replace_bytes(folder / "pages.bin", bytes(blob))
    replace_json(folder / "truth.json", truth)
    # Last, on one line a row: its presence says that the site is complete.
    lines = ",\n".join(json.dumps(row) for row in rows)
    replace_bytes(folder / "site.json", f"[\n{lines}\n]\n".encode())
