"""What is taken down is nowhere any more: not in an answer, not in a file, not after a kill, not when it comes back."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import make_build
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from changing_site import ChangingSite
from make_index import indexed, write

from sixfold.errors import ConfigError, InputError
from sixfold.files import read_json
from sixfold.parts.embedder import model_id
from sixfold.parts.embedding_cache import forget
from sixfold.systems.rag.build_folder import BuildFolder, BuildSettings
from sixfold.systems.rag.build_publish import publish_segments
from sixfold.systems.rag.clean.cleaner import Cleaner, CleanerConfig
from sixfold.systems.rag.crawl.crawler import crawl_single
from sixfold.systems.rag.crawl.limits import CrawlLimits
from sixfold.systems.rag.index.lock import WRITING, alone
from sixfold.systems.rag.index.manifest import read_manifest, read_tombstones
from sixfold.systems.rag.index.segment_reader import segment_info
from sixfold.systems.rag.live.catalog import Catalog
from sixfold.systems.rag.live.pages import Page
from sixfold.systems.rag.live.writer import Writer
from sixfold.systems.rag.operate import run_trace, run_why
from sixfold.systems.rag.records import document_id
from sixfold.systems.rag.takedown import takedown
from sixfold.systems.rag.takedown_rules import Blocklist, Rule, index_blocklist
from sixfold.systems.rag.takedown_scan import files_with

SUPPORT = Path(make_build.__file__).parent
SECRET = "Quoxalith Zembrunic 7f3a9c lives at number twelve"
TOPICS = make_build.TOPICS[:6]
LIVE = "http://live.test/secret"
QUICK = {"retry_after_s": 0.02, "timeout_s": 5.0}


def writer(index):
    """A live writer of the index; its vectors are not tested."""
    cleaner = Cleaner(CleanerConfig(filters=(), languages=None, scrub_pii=False))
    return Writer(index, embed=lambda texts: np.full((len(texts), 384), 384**-0.5, np.float32), cleaner=cleaner)


def live_urls(index):
    catalog = Catalog(index)
    catalog.refresh(read_manifest(index))
    return {url for _, _, url in catalog.urls()}


class World:
    """A crawl and an index of it, with one page that has a secret, and one that was handed in and has it too."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        self.crawl, self.index = folder / "crawl", folder / "index"

    def holders(self, needle: str = SECRET) -> list[str]:
        (found,) = files_with([self.crawl, self.index], [needle]).values()
        return [str(Path(file).relative_to(self.folder)) for file in found]

    def take_down(self, **options):
        return takedown(self.index, crawls=[self.crawl], grace_s=0.0, **{"url": self.url, **options})


@pytest.fixture(scope="module")
def original(making, tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    links = "".join(f'<a href="/{topic}.html">{topic}</a>' for topic in TOPICS)
    pages = {f"/{topic}.html": making.page(topic).decode() for topic in TOPICS}
    pages["/assert.html"] = making.page("assert", more=f"<p>{SECRET}.</p>").decode()
    with ChangingSite({"/": links, **pages}) as site:
        world = World(folder, f"{site.url}/assert.html")
        crawl_single([f"{site.url}/"], world.crawl, CrawlLimits(**QUICK))
    making.built([str(world.crawl / "warc")], world.index)
    live = writer(world.index)
    live.upsert([Page(LIVE, f"<p>{SECRET}, says a page that was handed in.</p>".encode())])
    live.upsert([Page("http://live.test/other", b"<p>Another page that was handed in, about something else.</p>")])
    shutil.copytree(folder, folder.with_name("pristine"))
    return world


@pytest.fixture
def world(original, tmp_path):
    """A copy; its passages name the archive of the original as their source."""
    shutil.copytree(original.folder.with_name("pristine"), tmp_path / "world")
    return World(tmp_path / "world", original.url)


def test_a_page_leaves_every_file_and_says_so(original, making, tmp_path):
    world = original
    before, generation = live_urls(world.index), read_manifest(world.index).generation
    places = {name.split("/")[1] for name in world.holders()}
    assert places == {"warc", "builds", "segments", "live"}

    first = world.take_down(reason="asked for by its owner", scan=True)
    second = world.take_down(url=LIVE)
    assert world.holders() == []
    assert live_urls(world.index) == before - {world.url, LIVE}

    assert (first.number, first.state, second.number, second.state) == ("0001", "complete", "0002", "complete")
    assert first.generation == generation + 1
    assert {place: of["things"] for place, of in first.removed.items()} == {
        "segment": 1, "build": 1, "embedding": first.removed["embedding"]["things"], "crawl": 1,
    }  # fmt: skip
    assert set(second.removed) == {"segment", "live"}
    assert not any(first.verification["remaining"].values())
    assert first.left == ()
    (payload,) = [one.sha256 for one in first.items if one.place == "crawl"]
    assert len(payload) == 64
    assert json.loads((world.index / "takedowns" / "0001.json").read_text()) == json.loads(json.dumps(first.as_json()))

    taken, dropped = run_why(world.url, world.index)
    assert taken["fate"] == "taken down"
    assert (taken["rule"], taken["reason"]) == (f"url {world.url}", "asked for by its owner")
    assert (taken["receipt"], dropped["stage"]) == ("0001", "takedown")
    catalog = Catalog(world.index)
    catalog.refresh(read_manifest(world.index))
    for segment, doc_id, url in catalog.urls():
        if "live.test" not in url:
            (passage, *_), _ = catalog.passages(segment, doc_id)
            assert run_trace(passage.chunk.chunk_id, world.index)["url"] == url

    # It does not come back: neither by a writer nor by a build.
    receipt = writer(world.index).upsert([Page(LIVE, b"<p>Here it is again, in other words, it seems.</p>")])
    assert [(fate.fate, fate.stage) for fate in receipt.fates] == [("dropped", "takedown")]
    again = making.write_warc(tmp_path / "again.warc.gz", [(world.url, making.page("assert"))])
    assert making.built([again], world.index)["dropped"] == {"takedown: url": 1}
    assert live_urls(world.index) == before - {world.url, LIVE}


def test_the_vectors_of_its_passages_are_forgotten_and_no_others(world):
    cache, models = world.index / "embeddings", [model_id("bf16")]

    def passages(url):
        for segment in (world.index / "segments").iterdir():
            table = pq.read_table(segment / "chunks.parquet").to_pylist()
            yield from (row["text"] for row in table if row["url"] == url)

    mine = list(passages(world.url))
    others = [text for url in live_urls(world.index) - {world.url, LIVE} for text in passages(url)]
    known = len(forget(cache, models, others, dry=True))
    assert len(forget(cache, models, mine, dry=True)) == len(set(mine)) > 0
    receipt = world.take_down()
    assert receipt.removed["embedding"]["things"] == len(set(mine))
    assert forget(cache, models, mine, dry=True) == []
    assert len(forget(cache, models, others, dry=True)) == known > 0


def test_a_host_takes_everything_of_it(world):
    phrases = [max(re.findall(r"[A-Za-z][A-Za-z ,]{25,60}", make_build.topics[topic]), key=len) for topic in TOPICS]
    phrases = [phrase for phrase in phrases if world.holders(phrase)]
    assert len(phrases) >= 3
    receipt = world.take_down(url=None, host="127.0.0.1")
    assert receipt.state == "complete"
    assert live_urls(world.index) == {LIVE, "http://live.test/other"}
    assert receipt.removed["crawl"]["things"] == 1 + len(TOPICS)
    assert not any(map(world.holders, phrases))


def test_a_pattern_takes_what_it_names_and_a_record_out_of_reach_is_said_to_stay(world):
    receipt = world.take_down(url=None, pattern="*/assert.*")
    assert receipt.state == "complete"
    assert [(one["url"], Path(one["file"]).name) for one in receipt.left] == [(world.url, "w000-00000.warc.gz")]
    assert all(name.startswith("index/live/") or "live-" in name for name in world.holders())


def test_taking_down_again_finds_nothing_and_changes_nothing(world):
    world.take_down()
    generation = read_manifest(world.index).generation
    files = {path: path.read_bytes() for path in world.folder.rglob("*") if path.is_file()}
    again = world.take_down()
    assert (again.number, again.state, again.removed, again.generation) == ("0002", "complete", {}, generation)
    for path, data in files.items():
        assert path.read_bytes() == data
    nothing = world.take_down(url="http://nobody.test/")
    assert (nothing.state, nothing.removed) == ("complete", {})


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_before_any_change_of_the_file_system(world, tmp_path, seed):
    shutil.copytree(world.folder, tmp_path / "whole")
    whole = World(tmp_path / "whole", world.url).take_down()
    before = live_urls(world.index)
    task = {"index": str(world.index), "crawls": [str(world.crawl)], "url": world.url, "seed": seed}
    done = subprocess.run(
        [sys.executable, str(SUPPORT / "takedown_server.py"), json.dumps(task)],
        capture_output=True, text=True, timeout=120, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["kills"] >= 5
    receipt = told["receipt"]
    assert (receipt["number"], receipt["state"]) == ("0001", "complete")
    assert {(i["place"], i["at"], i["sha256"]) for i in receipt["items"]} == {
        (one.place, one.at, one.sha256) for one in whole.items
    }
    assert all("live" in name for name in world.holders())  # the other page's
    assert live_urls(world.index) == before - {world.url}
    assert [r["fate"] for r in run_why(world.url, world.index)] == ["taken down", "dropped"]
    assert len(list(Blocklist(index_blocklist(world.index)).rules())) == 1


def test_while_a_build_has_the_index_the_page_is_gone_from_answers_and_the_rest_waits(world):
    with alone(world.index, WRITING), pytest.raises(ConfigError, match="no answer has it from generation"):
        world.take_down(wait_s=0.0)
    assert world.url not in live_urls(world.index)
    assert read_json(world.index / "takedowns" / "0001.json")["state"] == "running"
    done = world.take_down()
    assert (done.number, done.state) == ("0001", "complete")
    assert not any("segments/0001" in name for name in world.holders())


def test_writers_go_on_beside_a_takedown(world):
    stop, failures = threading.Event(), []

    def write_on():
        try:
            live, number = writer(world.index), 0
            while not stop.is_set():
                number += 1
                live.upsert([Page(f"http://busy.test/{number}", f"<p>Page {number} of a busy writer.</p>".encode())])
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=write_on)
    thread.start()
    try:
        receipt = world.take_down()
    finally:
        stop.set()
        thread.join()
    assert failures == []
    assert receipt.state == "complete"
    urls = live_urls(world.index)
    assert world.url not in urls
    busy = sorted(int(url.rpartition("/")[2]) for url in urls if "busy.test" in url)
    assert busy == list(range(1, len(busy) + 1))


def test_a_build_that_was_killed_goes_on_without_the_page(making, corpus, tmp_path):
    index, url = tmp_path / "index", make_build.url("break")
    secret = make_build.topics["break"][:40]
    arguments = making.build_arguments(corpus, index)
    assert making.killed(arguments, lambda: making.finished(index) >= 4)
    receipt = takedown(index, url=url, grace_s=0.0)
    assert (receipt.state, receipt.generation) == ("complete", 0)
    assert [(Path(one["file"]).suffix, one["url"]) for one in receipt.left] in ([], [(".gz", url)])
    assert files_with([index], [secret]) == {secret: []}
    summary = making.built(corpus, index)
    assert summary["dropped"]["takedown: url"] == 1
    assert url not in live_urls(index)
    assert files_with([index], [secret]) == {secret: []}


def test_what_a_rule_quoted_of_a_dropped_page_goes_too(tmp_path, making):
    line = "<p>It says lorem ipsum beside Quoxalith, and nobody has ever known why it would be doing that.</p>"
    pages = [
        ("http://x.test/lorem", making.page("exceptions", more=line)),
        ("http://x.test/a", making.page("assert")),
    ]
    index, warc = tmp_path / "index", making.write_warc(tmp_path / "in.warc.gz", pages)
    done = making.sixfold("rag", "build", warc, "--out", str(index), "--workers", "0", "--json")
    assert done.returncode == 0, done.stderr
    (dropped,) = [r for r in run_why("http://x.test/lorem", index) if r["fate"] == "dropped"]
    live = Writer(index, embed=lambda texts: np.full((len(texts), 384), 384**-0.5, np.float32))
    live.upsert([Page(*pages[0])])
    assert dropped["reason"] == "lorem-ipsum"
    assert len(files_with([index / "builds", index / "live"], ["Quoxalith"])["Quoxalith"]) == 2
    receipt = takedown(index, url="http://x.test/lorem", grace_s=0.0)
    assert receipt.state == "complete"
    assert files_with([index], ["Quoxalith"]) == {"Quoxalith": []}
    writer(index).upsert([Page("http://x.test/c", making.page("calls"))])  # the journal is as long as it was
    assert "http://x.test/c" in live_urls(index)


def test_a_build_that_is_published_after_the_rule_does_not_bring_the_page_back(tmp_path):
    index, folder = tmp_path / "index", BuildFolder(tmp_path / "index" / "builds" / "0001")
    urls = ["http://x.test/keep", "http://x.test/gone"]
    write(index, "0001-0000", [chunk for url in urls for chunk in indexed(url, [f"text of {url}"])])
    folder.dedup.mkdir(parents=True)
    pq.write_table(pa.table({"doc_id": pa.array([], pa.string()), "url": pa.array([], pa.string())}), folder.superseded)
    Blocklist(index_blocklist(index)).add(Rule.of(url=urls[1]))
    info = segment_info(index / "segments" / "0001-0000")
    manifest, _ = publish_segments(index, folder, [info], BuildSettings(), 0)
    assert read_tombstones(index, manifest, "0001-0000").documents == {document_id(urls[1])}


def test_what_is_no_index_no_crawl_and_no_rule_is_refused(world, tmp_path):
    with pytest.raises(InputError, match="not an index"):
        takedown(tmp_path, url="http://x.test/")
    with pytest.raises(InputError, match="not a crawl"):
        takedown(world.index, url="http://x.test/", crawls=[tmp_path])
    with pytest.raises(ConfigError, match="expected one of"):
        takedown(world.index)
    assert not (world.index / "takedowns").exists()
