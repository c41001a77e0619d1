"""The page in a real browser, served by the real gateway in this process, over an index built from real pages.

`site` is what a test talks to; another fixture of that name may serve the same documents from a fleet.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
from collections.abc import AsyncGenerator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hostile_page
import make_build
import pytest
from http_client import Client
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from serving import serving

from sixfold.parts.language_model import Delta
from sixfold.systems.rag.serve.app import create_app
from sixfold.systems.rag.serve.generations import Generations
from sixfold.systems.rag.serve.replicas import EmbedReplica, ShardReplica
from sixfold.systems.rag.serve.scatter import Calls, Group
from sixfold.systems.rag.serve.search import FleetSearch
from sixfold.systems.rag.serve.service import Service
from sixfold.systems.rag.serve.settings import ServeSettings
from sixfold.systems.rag.serve.single import LocalCopy

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SHARDS = 2


@dataclass
class Copy(LocalCopy):
    """The replica of one shard, which fails when it is told to."""

    name: str
    replica: ShardReplica
    broken: bool = False

    def __post_init__(self) -> None:
        super().__init__(self.name, self.replica)

    async def call(self, generation: int, calls: Calls) -> dict[int, list[Any]]:
        if self.broken:
            raise ConnectionError("its process is gone")
        return await super().call(generation, calls)


@dataclass
class Model:
    """A model that says what it is told, and knows whether it was heard to the end."""

    says: tuple[str, ...] = ()
    hangs: bool = False  # after its last piece
    cancelled: threading.Event = field(default_factory=threading.Event)

    async def stream(self, *_: Any, **__: Any) -> AsyncGenerator[Delta, None]:
        try:
            for piece in self.says:
                yield Delta(piece)
                await asyncio.sleep(0)
            if self.hangs:
                await asyncio.sleep(60)
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled.set()
            raise


@dataclass
class Site:
    """A running service, and what of it a test may bend."""

    address: str
    index: Path
    copies: list[Copy]
    model: Model
    shards: int = SHARDS


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real pages and a hostile one, built by the command into two shards at least."""
    folder = tmp_path_factory.mktemp("web")
    inputs = make_build.corpus(folder)
    inputs.append(make_build.write_warc(folder / "hostile.warc.gz", [(hostile_page.URL, hostile_page.html())]))
    index = folder / "index"
    done = make_build.sixfold(*make_build.build_arguments(inputs, index), "--capacity", "160KB")
    assert done.returncode == 0, done.stderr
    return index


@pytest.fixture(scope="session")
def _running(index: Path) -> Iterator[Site]:
    replicas = [ShardReplica(str(index), group, SHARDS) for group in range(SHARDS)]
    copies = [Copy(f"copy-{at}", replica) for at, replica in enumerate(replicas)]
    encoder, model = EmbedReplica(), Model()

    async def prepare(manifest: Any) -> Mapping[int, tuple[int, int]]:
        return {number: size for replica in replicas for number, size in (await replica.prepare(manifest)).items()}

    service = Service(
        ServeSettings(index, cached_questions=0),
        FleetSearch([Group([copy]) for copy in copies], encoder.embed_query),
        Generations(index, prepare),
        encoder.embed,
        model=model,
    )
    with serving(create_app(service)) as address:
        Client(address).wait_until_ready()
        yield Site(address, index, copies, model)


@pytest.fixture
def site(_running: Site) -> Iterator[Site]:
    """The service, whole again after each test."""
    yield _running
    for copy in _running.copies:
        copy.broken = False
    _running.model.says, _running.model.hangs = (), False
    _running.model.cancelled.clear()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        if os.environ.get("CI"):
            pytest.fail("CI installs chromium")
        pytest.skip("chromium is not installed: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Watch:
    """What went on in a browser that nobody asked for."""

    complaints: list[str] = field(default_factory=list)  # console errors, uncaught errors, dialogs, violations
    elsewhere: list[str] = field(default_factory=list)  # requests to other origins
    expected: tuple[str, ...] = ()  # parts of complaints that the test provokes

    def assert_quiet(self) -> None:
        unexpected = [c for c in self.complaints if not any(part in c for part in self.expected)]
        assert not unexpected, unexpected
        assert not self.elsewhere, self.elsewhere


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def context_options() -> dict[str, Any]:
    """How the browser is set; tests override it by parametrizing."""
    return {}


@pytest.fixture
def page(browser: Browser, site: Site, watch: Watch, context_options: dict[str, Any]) -> Iterator[Page]:
    """A page of its own for each test, which fails at its end if the browser complained of anything."""
    context: BrowserContext = browser.new_context(**{"viewport": {"width": 1280, "height": 860}, **context_options})
    context.set_default_timeout(15_000)
    page = context.new_page()

    def complain(kind: str, text: str) -> None:
        watch.complaints.append(f"{kind}: {text}")

    page.on("console", lambda message: message.type in ("error", "warning") and complain("console", message.text))
    page.on("pageerror", lambda error: complain("error", str(error)))
    page.on("dialog", lambda dialog: (complain("dialog", dialog.message), dialog.dismiss()))
    context.on("request", lambda r: r.url.startswith(site.address) or watch.elsewhere.append(r.url))
    page.add_init_script("addEventListener('securitypolicyviolation', (e) => console.error('violation', e.blockedURI))")
    yield page
    hacked = [frame.url for frame in page.frames if frame.evaluate("window.hacked")] if not page.is_closed() else []
    context.close()
    assert not hacked
    watch.assert_quiet()
