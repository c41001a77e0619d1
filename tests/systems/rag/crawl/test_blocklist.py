"""What is taken down is not asked for again: by a new crawl, by one that goes on, by one that runs."""

import json
import threading
import time
from itertools import pairwise

import pytest
from changing_site import ChangingSite

from sixfold.files import read_json_lines
from sixfold.systems.rag.crawl.crawler import crawl_single
from sixfold.systems.rag.crawl.journal import read_journals
from sixfold.systems.rag.crawl.limits import CrawlLimits
from sixfold.systems.rag.takedown_rules import Blocklist, Rule, crawl_blocklist

QUICK = {"retry_after_s": 0.02, "timeout_s": 5.0}
NAMES = [f"p{n}" for n in range(12)]


def chain():
    """Every page links to the next one: the crawl cannot know what comes."""
    pages = {f"/{name}": f'<a href="/{after}">on</a>' for name, after in pairwise(NAMES)}
    return {"/": f'<a href="/{NAMES[0]}">begin</a>', **pages, f"/{NAMES[-1]}": "the end"}


@pytest.fixture
def site():
    with ChangingSite(chain()) as server:
        yield server


def take_down(out, **rule):
    Blocklist(crawl_blocklist(out)).add(Rule.of(**rule))


def test_a_new_crawl_does_not_ask_for_it(site, tmp_path):
    take_down(tmp_path, url=f"{site.url}/p3")
    report = crawl_single([f"{site.url}/"], tmp_path, CrawlLimits(**QUICK))
    assert report.pages == 4
    assert "/p3" not in site.asked()
    take_down(tmp_path / "other", host="127.0.0.1")
    crawl_single([f"{site.url}/"], tmp_path / "other", CrawlLimits(**QUICK))
    assert site.asked() == []  # not even for the rules of the host


def test_a_crawl_that_goes_on_does_not_ask_for_what_it_had_found(site, tmp_path):
    crawl_single([f"{site.url}/"], tmp_path, CrawlLimits(max_pages=3, **QUICK))
    site.asked()
    take_down(tmp_path, pattern="*/p2")
    report = crawl_single([f"{site.url}/"], tmp_path, CrawlLimits(max_pages=9, **QUICK))
    assert "/p2" not in site.asked()
    assert report.errors == {"takedown": 1}
    assert list(read_json_lines(tmp_path / "crawl" / "errors.jsonl")) == [
        {"url": f"{site.url}/p2", "kind": "takedown", "detail": ""}
    ]


def test_a_crawl_that_runs_obeys_at_once(site, tmp_path):
    limits = CrawlLimits(delay_s=0.05, **QUICK)
    running = threading.Thread(target=crawl_single, args=([f"{site.url}/"], tmp_path, limits))
    running.start()
    while not any(path == "/p2" for path, _ in site.requests):
        time.sleep(0.002)
    take_down(tmp_path, url=f"{site.url}/p8")
    running.join()
    asked = site.asked()
    assert "/p7" in asked
    assert "/p8" not in asked
    done = read_journals(tmp_path / "crawl" / "journal").done
    assert f"{site.url}/p8" not in done
    assert json.dumps(sorted(done)).count("/p") == 8
