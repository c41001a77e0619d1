"""Whatever is done in whatever order, an index has what was put into it and not removed, and nothing else."""

import os
import shutil
import tempfile
import time
from pathlib import Path
from unittest import mock

import make_live as live
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sixfold.systems.rag.index.history import forget
from sixfold.systems.rag.index.manifest import Manifest, publish, read_manifest
from sixfold.systems.rag.index.shard import Shard
from sixfold.systems.rag.live.compact import compact_step
from sixfold.systems.rag.live.compact_policy import CompactConfig
from sixfold.systems.rag.live.ledger import live_records

URLS = st.integers(0, 5).map(live.url)
PAGES = st.lists(st.tuples(URLS, st.integers(0, 6)), min_size=1, max_size=4)
EAGER = CompactConfig(fan_in=2, dead_share=0.2)


class LiveIndex(RuleBasedStateMachine):
    """`model` is what the index has to show: URL -> number of the text."""

    @initialize(shards=st.integers(1, 2), first=PAGES, second=PAGES)
    def make(self, shards, first, second):
        self.quick = mock.patch("os.fsync", return_value=None)  # nobody cuts the power here
        self.quick.start()
        self.index = Path(tempfile.mkdtemp(prefix="live-"))
        publish(self.index, Manifest(1, ((),) * shards))
        self.meanwhile = lambda: None
        self.writer = live.writer(self.index, embed=self.embed)
        self.model: dict[str, int] = {}
        self.readers: list[tuple] = []
        self.put(first, True)
        self.put(second, True)

    def teardown(self):
        if hasattr(self, "index"):
            self.quick.stop()
            shutil.rmtree(self.index)

    def embed(self, texts):
        self.meanwhile()
        return live.embed(texts)

    def put(self, pages, allow):
        receipt = self.writer.upsert([live.page(*page) for page in pages], allow_duplicates=allow)
        before = dict(self.model)
        for (url, number), fate in zip(pages, receipt.fates, strict=True):
            if fate.fate in ("added", "replaced"):
                assert (fate.fate == "replaced") == (url in before)
                self.model[url] = number
            elif fate.fate == "unchanged":
                assert before[url] == number
            elif fate.stage == "duplicate-url":
                assert sum(url == other for other, _ in pages) > 1
            else:
                assert not allow
                assert fate.stage == "exact-duplicate"
                assert number in {*before.values(), *(n for _, n in pages)}
        for one in receipt.removed:
            del self.model[one.url]
        assert receipt.generation == read_manifest(self.index).generation

    def take(self, urls):
        receipt = self.writer.remove(urls=urls)
        assert {one.url for one in receipt.removed} == set(urls) & set(self.model)
        for url in urls:
            self.model.pop(url, None)

    @rule(pages=PAGES, allow=st.booleans())
    def upsert(self, pages, allow):
        self.put(pages, allow)

    @rule(urls=st.lists(URLS, min_size=1, max_size=2, unique=True))
    def remove(self, urls):
        self.take(urls)

    @rule(host=st.integers(0, 2))
    def remove_host(self, host):
        receipt = self.writer.remove(hosts=[f"HOST{host}.test"])
        gone = [url for url in self.model if url.startswith(f"http://host{host}.test/")]
        assert sorted(one.url for one in receipt.removed) == sorted(gone)
        for url in gone:
            del self.model[url]

    @rule(purge=st.booleans())
    def compact(self, purge):
        compact_step(self.index, EAGER, purge=purge)

    @rule(before=PAGES, pages=PAGES, urls=st.lists(URLS, max_size=2, unique=True), purge=st.booleans())
    def compact_while_others_publish(self, before, pages, urls, purge):
        def meanwhile():
            self.put(pages, True)
            if urls:
                self.take(urls)

        self.put(before, True)
        compact_step(self.index, EAGER, purge=purge, before_publish=meanwhile)

    @rule(before=PAGES, pages=PAGES, purge=st.booleans())
    def compact_while_a_writer_embeds(self, before, pages, purge):
        self.put(before, True)
        self.meanwhile = lambda: compact_step(self.index, EAGER, purge=purge)
        self.put(pages, True)
        self.meanwhile = lambda: None

    @rule(forgetting=st.booleans())
    def others_come_and_go(self, forgetting):
        """Another writer, another reader; and what only old generations name is deleted."""
        self.writer = live.writer(self.index, embed=self.embed)
        manifest = read_manifest(self.index)
        last = self.readers[-1][1] if self.readers else [None] * len(manifest.shards)
        shards = [Shard.open(self.index, number, manifest, reuse=shard) for number, shard in enumerate(last)]
        self.readers = [*self.readers[-2:], (manifest, shards, dict(self.model))]
        if forgetting:
            forget(self.index, time.time(), grace_s=0)
            assert live.orphans(self.index) == []

    @invariant()
    def shows_what_was_put_in(self):
        if hasattr(self, "index"):
            assert live.documents(self.index) == {url: live.text(n) for url, n in self.model.items()}

    @invariant()
    def readers_still_see_their_generation(self):
        for manifest, shards, model in getattr(self, "readers", []):
            expected = {url: live.text(n) for url, n in model.items()}
            assert live.documents(self.index, manifest, shards) == expected

    @invariant()
    def every_document_is_accounted_for(self):
        for url in getattr(self, "model", {}):
            assert any(record["fate"] == "kept" for record in live_records(self.index, url))


TestLiveIndex = LiveIndex.TestCase
TestLiveIndex.settings = settings(
    max_examples=int(os.environ.get("LIVE_EXAMPLES", "15")), stateful_step_count=10, deadline=None
)
