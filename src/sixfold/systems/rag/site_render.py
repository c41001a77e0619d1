"""Renders the pydoc pages of the installed Python: which modules, in which processes, as which bytes.

Run as a module it is one rendering process: module names on stdin, framed pages on stdout.
"""

# ruff: noqa: SIM905 - lists of names as text: one name a line would fill two screens
from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import json
import os
import re
import select
import subprocess
import sys
import sysconfig
import tempfile
import threading
import warnings
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["DEFAULT_PACKAGES", "Rendered", "module_names", "package_versions", "render_modules"]

# Import names of Sixfold's own light dependencies; ray and torch would triple the site and have side effects.
DEFAULT_PACKAGES = (
    "aiohttp attr certifi charset_normalizer click contourpy cycler dateutil faiss fastwarc filelock fsspec "
    "frozenlist idna ir_measures jinja2 jsonschema kiwisolver lxml markdown_it markupsafe matplotlib mdurl "
    "msgpack multidict networkx numpy packaging PIL propcache protego psutil pyarrow pydantic pydantic_core "
    "pygments pyparsing rbloom referencing requests resiliparse rich rpds safetensors shellingham "
    "threadpoolctl tokenizers typer typing_extensions urllib3 w3lib xxhash yaml yarl"
).split()

_SKIPPED_TOP = frozenset(  # modules that act on import, or are for other systems
    "antigravity this idlelib test turtledemo turtle lib2to3 ensurepip pydoc_data tkinter nt msvcrt winreg "
    "winsound ossaudiodev spwd nis".split()
)
_SKIPPED_PART = frozenset(
    "__main__ tests test testing conftest _vendor _pytesttester setup msi pip_run windows_support "
    "windows_events windows_utils popen_spawn_win32 hub_utils gtk3agg".split()
)
_MODULE_TIMEOUT_S = 20.0
_SCRATCH = "sixfold-render-"
_BATCH_MODULES = 24  # small packages share one process: a start costs as much as several pages
MAX_PAGE_BYTES = 1_000_000  # pydoc pages of C libraries reach 5 MB of generated method tables


@dataclass(frozen=True, slots=True)
class Rendered:
    """One module's page, or why there is none."""

    module: str
    html_zlib: bytes  # zlib of the page in UTF-8; empty when it failed
    error: str | None = None


def package_versions(packages: Iterable[str]) -> dict[str, str]:
    """The versions of the distributions that own `packages`; the standard library's is Python's own."""
    owners = importlib.metadata.packages_distributions()
    versions = {"python": sys.version.split()[0]}
    for name in packages:
        for distribution in owners.get(name, [])[:1]:
            versions[name] = importlib.metadata.version(distribution)
    return versions


def module_names(packages: Sequence[str] | None = None) -> dict[str, list[str]]:
    """Top-level package -> its importable modules, sorted; found on disk without importing anything.

    `packages=None` means the standard library and those of DEFAULT_PACKAGES that are installed; names that
    are not installed are left out.
    """
    if packages is None:
        standard = [n for n in sys.stdlib_module_names if not n.startswith("_") and n not in _SKIPPED_TOP]
        packages = [*standard, *DEFAULT_PACKAGES]
    found: dict[str, list[str]] = {}
    for top in sorted(set(packages)):
        try:
            spec = importlib.util.find_spec(top)
        except (ImportError, ValueError):
            continue
        if spec is not None:
            found[top] = sorted({top, *_submodules(top, spec.submodule_search_locations or [])})
    return found


def _submodules(top: str, locations: Iterable[str]) -> Iterable[str]:
    for location in locations:
        base = Path(location)
        for path in base.rglob("*"):
            if path.suffix not in (".py", ".so"):
                continue
            parts = [top, *path.relative_to(base).parts[:-1], path.name.split(".", 1)[0]]
            if parts[-1] == "__init__":
                parts.pop()
            plain = all(p.isidentifier() and not p.startswith("_") for p in parts)
            if plain and not _SKIPPED_PART.intersection(parts):
                yield ".".join(parts)


def render_modules(
    modules: dict[str, list[str]], *, processes: int, on_page: Callable[[Rendered], None]
) -> list[Rendered]:
    """Render every module in separate processes; the order of the result is that of `modules`.

    Which modules share a process depends on the list alone: a page may show what was imported before it, so
    anything else would make the site differ from run to run. A module that hangs or kills its process is
    skipped. `on_page` is called after each page, from several threads.
    """
    batches = _batches(modules)
    results: dict[str, Rendered] = {}
    lock = threading.Lock()
    todo = iter(sorted(batches, key=len, reverse=True))

    def keep(page: Rendered) -> None:
        with lock:
            results[page.module] = page
        on_page(page)

    def drive() -> None:
        while True:
            with lock:
                batch = next(todo, None)
            if batch is None:
                return
            _render_batch(batch, keep)

    threads = [threading.Thread(target=drive, daemon=True) for _ in range(max(1, processes))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [results[name] for names in modules.values() for name in names]


def _batches(modules: dict[str, list[str]]) -> list[list[str]]:
    batches: list[list[str]] = []
    small: list[str] = []
    for names in modules.values():
        if len(names) >= _BATCH_MODULES:
            batches.extend(names[i : i + 60] for i in range(0, len(names), 60))
            continue
        small.extend(names)
        if len(small) >= _BATCH_MODULES:
            batches.append(small)
            small = []
    return [*batches, small] if small else batches


def _render_batch(names: list[str], keep: Callable[[Rendered], None]) -> None:
    remaining = list(names)
    while remaining:
        done = _render_in_one_process(remaining, keep)
        remaining = remaining[done:]
        if remaining:  # the process died or was killed at this module
            keep(Rendered(remaining.pop(0), b"", "killed: it hung or ended its process"))


def _render_in_one_process(names: list[str], keep: Callable[[Rendered], None]) -> int:
    with tempfile.TemporaryDirectory(prefix=_SCRATCH) as scratch:
        environment = {  # bare: pages show os.environ, and hash order must not vary
            "PATH": "/usr/bin:/bin",
            "HOME": scratch,
            "MPLBACKEND": "Agg",
            "MPLCONFIGDIR": scratch,
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "PYTHONHASHSEED": "0",
            "SOURCE_DATE_EPOCH": "0",
            "PYTHONPATH": str(Path(__file__).parents[3]),
            "BROWSER": "true",
            "LC_ALL": "C.UTF-8",
        }
        worker = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-W", "ignore", "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=scratch,
            env=environment,
        )
        try:
            if worker.stdin is None or worker.stdout is None:
                return 0
            with contextlib.suppress(BrokenPipeError):
                worker.stdin.write("".join(f"{n}\n" for n in names).encode())
                worker.stdin.close()
            for done in range(len(names)):
                page = _read_frame(worker.stdout.fileno())
                if page is None:
                    return done
                keep(page)
            return len(names)
        finally:
            worker.kill()
            worker.wait()
            if worker.stdout:
                worker.stdout.close()


def _read_frame(fd: int) -> Rendered | None:
    head = _read_exactly(fd, 8)
    if head is None:
        return None
    meta_size, page_size = int.from_bytes(head[:4], "big"), int.from_bytes(head[4:], "big")
    rest = _read_exactly(fd, meta_size + page_size)
    if rest is None:
        return None
    meta = json.loads(rest[:meta_size])
    return Rendered(meta["module"], rest[meta_size:], meta["error"])


def _read_exactly(fd: int, size: int) -> bytes | None:
    data = bytearray()
    ready = select.poll()  # select() knows no descriptor beyond 1,023
    ready.register(fd, select.POLLIN)
    while len(data) < size:
        if not ready.poll(1000.0 * _MODULE_TIMEOUT_S):
            return None
        chunk = os.read(fd, size - len(data))
        if not chunk:
            return None
        data += chunk
    return bytes(data)


def _render_page(name: str) -> bytes:
    import importlib
    import pydoc

    class Page(pydoc.HTMLDoc):
        def filelink(self, url: str, path: str) -> str:  # this machine's paths do not belong on a web page
            for base in (sysconfig.get_path("platlib"), sysconfig.get_path("stdlib")):
                path = path.removeprefix(base + os.sep)
            return Path(path).name if Path(path).is_absolute() else path

        def getdocloc(self, object: object, basedir: str = "") -> str | None:
            return None

    module = importlib.import_module(name)
    renderer = Page()
    html: str = renderer.page(renderer.escape(name), renderer.document(module, name))
    # Memory addresses and the scratch folder differ from run to run.
    html = re.sub(r"(?: |&nbsp;)at(?: |&nbsp;)0x[0-9a-f]{6,}", "", html)
    html = re.sub(rf"[\w/.-]*{_SCRATCH}\w*", "/scratch", html)
    return html.encode("utf-8", "backslashreplace")


def _worker() -> None:
    warnings.simplefilter("ignore")
    names = sys.stdin.read().split()
    os.environ.pop("PYTHONPATH", None)
    out = os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)  # what a module prints while it is imported must not reach the frames
    for name in names:
        page, error = b"", None
        try:
            page = _render_page(name)
            if len(page) > MAX_PAGE_BYTES:
                page, error = b"", f"page of {len(page)} bytes is over {MAX_PAGE_BYTES}"
        except KeyboardInterrupt:
            raise
        except BaseException as problem:  # importing arbitrary modules: SystemExit too
            error = f"{type(problem).__name__}: {problem}"[:300]
        packed = zlib.compress(page, 6) if page else b""
        meta = json.dumps({"module": name, "error": error}).encode()
        out.write(len(meta).to_bytes(4, "big") + len(packed).to_bytes(4, "big") + meta + packed)
        out.flush()


if __name__ == "__main__":
    _worker()
    os._exit(0)  # threads that an imported module left behind must not hold the process
