"""A finished crawl is visited again: what changed is archived, what is gone is named, and the host is spared."""

import make_live
import pytest
from changing_site import ChangingSite
from hypothesis import given
from hypothesis import strategies as st
from warcio.archiveiterator import ArchiveIterator

from sixfold.errors import ConfigError, InputError
from sixfold.systems.rag.crawl.change_rate import Visit
from sixfold.systems.rag.crawl.crawler import crawl_single
from sixfold.systems.rag.crawl.journal import read_journals
from sixfold.systems.rag.crawl.limits import CrawlLimits
from sixfold.systems.rag.crawl.recrawl import choose_pages, estimated_rates_hz, run_recrawl
from sixfold.systems.rag.crawl.visits import PageHistory, VisitLog, VisitRecord
from sixfold.systems.rag.takedown_rules import Blocklist, Rule, crawl_blocklist

QUICK = CrawlLimits(retry_after_s=0.02, timeout_s=5.0)
NAMES = ("a", "b", "c", "d", "e")


def site_pages():
    links = "".join(f'<a href="/{name}">{name}</a>' for name in NAMES)
    return {"/": f"<p>hub</p>{links}", **{f"/{name}": f"<p>page {name}</p>" for name in NAMES}}


def crawled(site, out):
    crawl_single([f"{site.url}/"], out, QUICK)
    site.asked()
    return out


def recrawl(out, budget=10, **options):
    return run_recrawl(out, budget=budget, limits=QUICK, **options)


def records(path):
    with open(path, "rb") as file:
        return [
            (record.rec_headers.get_header("WARC-Target-URI"), record.content_stream().read().decode())
            for record in ArchiveIterator(file, check_digests="raise")
            if record.rec_type == "response"
        ]


@pytest.mark.parametrize("validators", [True, False])
def test_changed_pages_are_archived_and_gone_ones_are_named(tmp_path, validators):
    with ChangingSite(site_pages(), validators=validators) as site:
        out = crawled(site, tmp_path / "crawl")
        before = sorted(read_journals(out / "crawl" / "journal").done)
        site.pages |= {"/a": "<p>page a, second edition</p>", "/b": 404, "/c": 410, "/d": f"->{site.url}/e"}
        told = recrawl(out)
        assert told["visited"] == 6
        assert told["changed"] == [f"{site.url}/a"]
        assert told["unchanged"] == 2
        assert told["gone"] == [f"{site.url}/b", f"{site.url}/c"]
        assert told["moved"] == {f"{site.url}/d": f"{site.url}/e"}
        (file,) = told["warc"]
        assert records(file) == [(f"{site.url}/a", "<p>page a, second edition</p>")]
        statuses = dict(site.requests)
        assert statuses["/e"] == (304 if validators else 200)
        assert site.asked()[0] == "/robots.txt"

        again = recrawl(out)
        assert (again["changed"], again["gone"], again["warc"], again["unchanged"]) == ([], [], [], 3)
        assert {"/b", "/c"}.isdisjoint(site.asked())
    assert sorted(read_journals(out / "crawl" / "journal").done) == before


def test_the_budget_holds_and_the_pages_that_waited_longest_come_first(tmp_path):
    with ChangingSite(site_pages()) as site:
        out = crawled(site, tmp_path / "crawl")
        seen = []
        for _ in range(3):
            assert recrawl(out, budget=2)["visited"] == 2
            seen += [path for path in site.asked() if path != "/robots.txt"]
        assert len(seen) == len(set(seen)) == 6


def test_robots_failures_and_takedowns(tmp_path):
    with ChangingSite(site_pages()) as site:
        out = crawled(site, tmp_path / "crawl")
        site.pages |= {"/robots.txt": "User-agent: *\nDisallow: /a", "/b": 500}
        Blocklist(crawl_blocklist(out)).add(Rule.of(url=f"{site.url}/c"))
        told = recrawl(out)
        assert told["disallowed"] == [f"{site.url}/a"]
        assert told["failed"] == {"http-500": 1}
        asked = site.asked()
        assert asked.count("/b") == 1 + QUICK.retries
        assert {"/a", "/c"}.isdisjoint(asked)


def test_what_a_killed_run_had_seen_is_told_by_the_next(tmp_path, monkeypatch):
    with ChangingSite(site_pages()) as site:
        out = crawled(site, tmp_path / "crawl")
        site.pages |= {f"/{name}": f"<p>page {name}, second edition</p>" for name in NAMES} | {"/e": 404}
        add, left = VisitLog.add, [9]  # six archived pages, then three visits

        def dying(self, record):
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
            add(self, record)

        with monkeypatch.context() as patch:
            patch.setattr(VisitLog, "add", dying)
            with pytest.raises(KeyboardInterrupt):
                recrawl(out)
        told = recrawl(out)
        assert told["visited"] == 6
        assert told["changed"] == [f"{site.url}/{name}" for name in "abcd"]
        assert told["gone"] == [f"{site.url}/e"]
        archived = sorted(url for file in told["warc"] for url, _ in records(file))
        assert archived == told["changed"]  # the record that no visit names was cut off


def test_an_index_gets_what_changed_and_loses_what_is_gone(tmp_path, monkeypatch):
    with ChangingSite(site_pages()) as site:
        out = crawled(site, tmp_path / "crawl")
        index = tmp_path / "index"
        with monkeypatch.context() as patch:
            patch.setattr("sixfold.systems.rag.live.writer.Writer", make_live.writer)
            patch.setattr("sixfold.systems.rag.live.operate.Writer", make_live.writer)
            make_live.writer(index).upsert([make_live.page(f"{site.url}/{name}", n) for n, name in enumerate(NAMES)])
            site.pages |= {"/a": "<p>unique99 words</p>", "/b": 404}
            told = recrawl(out, index=index)
        assert told["index"]["ingested"] == {"replaced": 1}
        assert told["index"]["removed"] == 1
        documents = make_live.documents(index)
        assert documents[f"{site.url}/a"] == "unique99 words"
        assert f"{site.url}/b" not in documents
        assert len(documents) == 4


def history(url, last_s=0.0, visits=()):
    return PageHistory(url, last_s, "", "", "", list(visits))


@given(st.lists(st.lists(st.tuples(st.floats(1.0, 1e6), st.booleans()), max_size=5), max_size=8), st.integers(1, 9))
def test_every_page_has_a_rate_and_none_is_chosen_twice(visits, budget):
    pages = [history(f"http://x/{n}", 0.0, [Visit(t, c) for t, c in of]) for n, of in enumerate(visits)]
    rates = estimated_rates_hz(pages)
    assert (rates > 0).all()
    chosen = choose_pages(pages, rates, budget, 100.0, 1e7)
    assert len({page.url for page in chosen}) == len(chosen) <= budget
    assert choose_pages(pages, rates, budget, 100.0, 0.0) == []  # no time has passed


def test_a_page_that_never_changes_is_looked_at_less_and_one_that_always_does_least():
    day_s = 86_400.0
    pages = [
        history("http://x/often", visits=[Visit(day_s, n % 2 == 0) for n in range(10)]),
        history("http://x/never", visits=[Visit(day_s, False)] * 10),
        history("http://x/always", visits=[Visit(day_s / 100, True)] * 1000),
    ]
    rates = estimated_rates_hz(pages)
    assert rates[1] < rates[0] < rates[2]
    chosen = choose_pages(pages, rates, 2, 2 * day_s, 10 * day_s)
    assert [page.url for page in chosen] == ["http://x/often", "http://x/never"]


def test_a_log_is_read_as_it_was_written(tmp_path):
    log = VisitLog(tmp_path / "visits.jsonl")
    now_s = 1_000.0
    log.add(VisitRecord("http://x/", now_s, "archived", "sha1:A", etag='"1"'))
    log.add(VisitRecord("http://x/", now_s + 5, "changed", "sha1:B", file="f", offset=3, length=4))
    log.add(VisitRecord("http://x/", now_s + 7, "failed", detail="timeout"))
    again = VisitLog(tmp_path / "visits.jsonl")
    assert again.pages == log.pages
    assert again.unreported == log.unreported
    assert again.ends == {"f": 7}
    assert again.pages["http://x/"].visits == [Visit(5.0, True)]
    assert again.pages["http://x/"].last_s == now_s + 5
    again.end(now_s + 8)
    assert VisitLog(tmp_path / "visits.jsonl").unreported == []


def test_what_is_no_crawl_and_no_budget_is_refused(tmp_path):
    with pytest.raises(InputError, match="not a crawl"):
        run_recrawl(tmp_path, budget=1)
    with pytest.raises(ConfigError, match="budget of 0"):
        run_recrawl(tmp_path, budget=0)
