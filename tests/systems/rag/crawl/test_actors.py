import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter

import pytest

from sixfold.errors import ConfigError
from sixfold.systems.rag.crawl.actors import crawl_distributed
from sixfold.systems.rag.crawl.crawler import crawl_single
from sixfold.systems.rag.crawl.journal import read_journals
from sixfold.systems.rag.crawl.limits import CrawlLimits

pytestmark = pytest.mark.ray

QUICK = {"retry_after_s": 0.02, "timeout_s": 5.0, "concurrency": 6}


def pages(out):
    return sorted(read_journals(out / "crawl" / "journal", out / "warc").done)


def archived(out):
    from warcio.archiveiterator import ArchiveIterator

    found = []
    for path in sorted((out / "warc").glob("*.warc.gz")):
        with path.open("rb") as file:
            for record in ArchiveIterator(file, check_digests="raise"):
                if record.rec_type == "response":
                    found.append(record.rec_headers.get_header("WARC-Target-URI"))
                    record.content_stream().read()
    return sorted(found)


def test_two_workers_get_what_one_process_gets(ray_lab, site, tmp_path):
    limits = CrawlLimits(scope=site.scope, **QUICK)
    one = crawl_single([site.hub], tmp_path / "one", limits)
    two = crawl_distributed([site.hub], tmp_path / "two", limits, workers=2)
    assert pages(tmp_path / "one") == pages(tmp_path / "two") == site.truth()["pages"]
    assert archived(tmp_path / "two") == site.truth()["pages"]
    assert two.errors == one.errors
    assert two.workers == len(two.readings) == 2
    assert not list((tmp_path / "two" / "warc").glob("*.open"))
    again = crawl_single([site.hub], tmp_path / "two", limits)  # any number goes on from any other
    assert (again.fetched, again.pages) == (0, one.pages)


def test_depth_and_page_bounds_hold_over_all_workers(ray_lab, site, tmp_path):
    depth = CrawlLimits(scope=site.scope, max_depth=1, **QUICK)
    crawl_single([site.hub], tmp_path / "one", depth)
    crawl_distributed([site.hub], tmp_path / "two", depth, workers=2)
    assert pages(tmp_path / "one") == pages(tmp_path / "two")
    few = CrawlLimits(scope=site.scope, max_pages=21, **QUICK)
    report = crawl_distributed([site.hub], tmp_path / "few", few, workers=2)
    assert report.pages == len(archived(tmp_path / "few")) == 21


def test_a_killed_worker_is_replaced_and_no_url_is_lost(ray_lab, site, tmp_path):
    out = tmp_path / "out"
    seen: list[list[int]] = []

    def kill() -> None:
        journal = out / "crawl" / "journal"
        while len(read_journals(journal).done) < 15:
            time.sleep(0.002)
        os.kill(seen[0][1], signal.SIGKILL)

    killer = threading.Thread(target=kill)

    def on_workers(pids: list[int]) -> None:
        seen.append(pids)
        if len(seen) == 1:
            killer.start()

    limits = CrawlLimits(scope=site.scope, **{**QUICK, "concurrency": 2, "host_connections": 1})
    crawl_distributed([site.hub], out, limits, workers=2, on_workers=on_workers)
    killer.join()
    assert len(seen) == 2
    assert seen[0][0] == seen[1][0]
    assert seen[0][1] != seen[1][1]
    assert archived(out) == site.truth()["pages"]  # none lost, none twice
    leases = Counter(read_journals(out / "crawl" / "journal").leased)
    repeated = sum(leases[url] - 1 for url in site.truth()["pages"])
    assert repeated <= 2 * limits.concurrency


def test_more_workers_than_cpus_are_refused(ray_lab, tmp_path):
    with pytest.raises(ConfigError, match="workers: got 99"):
        crawl_distributed(["http://127.0.0.2/"], tmp_path, workers=99)
    with pytest.raises(ConfigError, match="at least 1"):
        crawl_distributed(["http://127.0.0.2/"], tmp_path, workers=0)


def test_without_ray_it_says_what_to_do(tmp_path):
    # In a process of its own: other tests have started Ray in this one.
    program = (
        "import sys; from pathlib import Path; from sixfold.errors import PrerequisiteError\n"
        "from sixfold.systems.rag.crawl.actors import crawl_distributed\n"
        "try: crawl_distributed(['http://127.0.0.2/'], Path(sys.argv[1]))\n"
        "except PrerequisiteError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert "start one first" in done.stdout
