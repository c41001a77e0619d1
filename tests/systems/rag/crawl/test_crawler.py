import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict

import pytest
from warcio.archiveiterator import ArchiveIterator

from sixfold.errors import ConfigError, UserError
from sixfold.files import read_json_lines
from sixfold.systems.rag.crawl.crawler import crawl_single
from sixfold.systems.rag.crawl.journal import read_journals
from sixfold.systems.rag.crawl.limits import CrawlLimits

QUICK = {"retry_after_s": 0.02, "timeout_s": 5.0}


def pages(out):
    return sorted(read_journals(out / "crawl" / "journal").done)


def archived(out):
    found = []
    for path in sorted((out / "warc").glob("*.warc.gz")):
        with path.open("rb") as file:
            for record in ArchiveIterator(file, check_digests="raise"):
                if record.rec_type == "response":
                    assert record.http_headers.get_statuscode() == "200"
                    url = record.rec_headers.get_header("WARC-Target-URI")
                    found.append((url, record.content_stream().read(), record.rec_headers.get_header("WARC-Truncated")))
    return found


def errors(out):
    return {(e["url"], e["kind"]) for e in read_json_lines(out / "crawl" / "errors.jsonl")}


def test_the_embedded_site_is_crawled_as_its_truth_says(site, tmp_path):
    out = tmp_path / "out"
    report = crawl_single([site.hub], out, CrawlLimits(scope=site.scope, **QUICK))
    truth = site.truth()
    faults = truth["faults"]
    assert pages(out) == truth["pages"]
    assert sorted(url for url, _, _ in archived(out)) == truth["pages"]
    assert report.pages == report.fetched == len(truth["pages"])
    assert report.unfinished == 0
    named = errors(out)
    for fault, kind in {
        "missing": "http-404",
        "server-error": "http-500",
        "truncated": "truncated-body",
        "redirect-loop": "redirect-loop",
        "wrong-type": "content-type",
        "disallowed": "robots-disallowed",
    }.items():
        assert {(url, kind) for url in faults[fault]} == {e for e in named if e[1] == kind}
    assert report.errors == Counter(kind for _, kind in named)
    assert report.redirects == len(faults["redirect"]) + len(faults["redirect-loop"])

    site.stop()  # writes its log
    *requests, _cpu = read_json_lines(tmp_path / "access.jsonl")
    asked = Counter((address, path) for _, address, path in requests)
    again = {url for kind in ("server-error", "truncated") for url in faults[kind]}
    assert sum(count - 1 for count in asked.values()) == len(again)  # one more attempt of what may pass
    assert not any(path.startswith("/private/") for _, path in asked)
    times = defaultdict(list)
    for moment, address, _ in requests:
        times[address].append(moment)
    slow_hosts = [url.split("/")[2].split(":")[0] for url in faults["crawl-delay"]]
    assert slow_hosts
    for host in slow_hosts:
        gaps = [after - before for before, after in zip(times[host], times[host][1:], strict=False)]
        assert gaps
        assert min(gaps) >= 0.2


def test_a_second_run_fetches_nothing_and_other_seeds_are_refused(site, tmp_path):
    limits = CrawlLimits(scope=site.scope, max_depth=1, **QUICK)
    first = crawl_single([site.hub], tmp_path / "out", limits)
    again = crawl_single([site.hub], tmp_path / "out", limits)
    assert (again.fetched, again.pages, again.errors) == (0, first.pages, first.errors)
    with pytest.raises(ConfigError, match="seeds"):
        crawl_single(["http://127.0.0.9/"], tmp_path / "out", limits)
    with pytest.raises(ConfigError, match="max_depth"):
        crawl_single([site.hub], tmp_path / "out", CrawlLimits(scope=site.scope))


def test_bounds_of_depth_and_pages(site, tmp_path):
    hub = site.hub
    report = crawl_single([hub], tmp_path / "d0", CrawlLimits(scope=site.scope, max_depth=0, **QUICK))
    assert pages(tmp_path / "d0") == [hub]
    crawl_single([hub], tmp_path / "d1", CrawlLimits(scope=site.scope, max_depth=1, **QUICK))
    assert len(pages(tmp_path / "d1")) == 1 + len(site.truth()["hosts"])
    report = crawl_single([hub], tmp_path / "n", CrawlLimits(scope=site.scope, max_pages=17, **QUICK))
    assert report.pages == len(archived(tmp_path / "n")) == 17
    assert report.unfinished > 0
    more = crawl_single([hub], tmp_path / "n", CrawlLimits(scope=site.scope, max_pages=30, **QUICK))
    assert (more.pages, more.fetched) == (30, 13)


def test_kill_9_and_resume(site, tmp_path):
    out = tmp_path / "out"
    limits = {"scope": site.scope, "concurrency": 6, **QUICK}
    code = (
        "import sys, json; from pathlib import Path\n"
        "from sixfold.systems.rag.crawl.crawler import crawl_single\n"
        "from sixfold.systems.rag.crawl.limits import CrawlLimits\n"
        "crawl_single([sys.argv[1]], Path(sys.argv[2]), CrawlLimits(**json.loads(sys.argv[3])))"
    )
    for enough in (8, 25):
        child = subprocess.Popen([sys.executable, "-c", code, site.hub, str(out), json.dumps(limits)])
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and child.poll() is None:
            if len(read_journals(out / "crawl" / "journal").done) >= enough:
                break
            time.sleep(0.002)
        child.send_signal(signal.SIGKILL)
        child.wait()
    before = read_journals(out / "crawl" / "journal")
    report = crawl_single([site.hub], out, CrawlLimits(**{**limits, "scope": tuple(site.scope)}))
    truth = site.truth()
    assert pages(out) == truth["pages"]
    assert sorted(url for url, _, _ in archived(out)) == truth["pages"]  # each once, every record whole
    assert report.fetched == len(truth["pages"]) - len(before.done)
    site.stop()
    *requests, _cpu = read_json_lines(tmp_path / "access.jsonl")
    asked = Counter(f"http://{address}:{site.port}{path}" for _, address, path in requests)
    repeated = sum(asked[url] - 1 for url in truth["pages"])
    assert repeated <= 2 * limits["concurrency"]


def test_a_host_that_never_answers_and_one_that_is_gone(tiny_server, tmp_path):
    import asyncio

    async def silent(path, writer):
        await asyncio.sleep(60)

    server = tiny_server(silent)
    limits = CrawlLimits(timeout_s=0.3, retries=0, scope=("127.0.0.1",))
    report = crawl_single([server.url + "/a", "http://127.0.0.1:9/b"], tmp_path / "out", limits)
    assert report.errors == {"robots-unreachable": 2}
    assert report.seconds < 5


def test_each_kind_of_trouble_has_its_name(tiny_server, reply, tmp_path):
    import asyncio

    bomb = gzip.compress(b"\x00" * 30_000_000)
    links = "slow huge bomb zipped reset chain/0 self nowhere away notype br badgzip header later"

    async def handler(path, writer):
        name = path.strip("/")
        if name == "robots.txt":
            writer.write(reply(b"", 404))
        elif name == "":
            writer.write(reply("".join(f'<a href="/{x}">' for x in links.split()).encode()))
        elif name == "slow":
            await asyncio.sleep(30)
        elif name == "huge":  # 100 MB, if one lets it
            writer.write(reply(Content_Length="100000000"))
            for _ in range(1_000):
                writer.write(b'<a href="/found-in-huge">' + b"x" * 99_975)
                await writer.drain()
        elif name == "bomb":
            writer.write(reply(bomb, Content_Encoding="gzip"))
        elif name == "zipped":
            writer.write(reply(gzip.compress(b'<a href="/in-zip">z</a>'), Content_Encoding="gzip"))
        elif name == "reset":
            writer.transport.abort()
        elif name.startswith("chain/"):
            writer.write(reply(b"", 301, Location=f"/chain/{int(name[6:]) + 1}"))
        elif name == "self":
            writer.write(reply(b"", 302, Location="self"))
        elif name == "nowhere":
            writer.write(reply(b"", 302, Location="mailto:nobody"))
        elif name == "away":
            writer.write(reply(b"", 302, Location="http://127.0.0.77:1/"))
        elif name == "notype":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")
        elif name == "br":
            writer.write(reply(b"xx", Content_Encoding="br"))
        elif name == "badgzip":
            writer.write(reply(b"this is no gzip", Content_Encoding="gzip"))
        elif name == "header":
            writer.write(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n")
        elif name == "later" and server.paths().count("/later") == 1:
            writer.write(reply(b"", 503, Retry_After="1"))
        else:
            writer.write(reply(b"<p>page</p>"))

    server = tiny_server(handler)
    limits = CrawlLimits(timeout_s=1.0, max_body_bytes=1_000_000, max_redirects=3, retries=1, retry_after_s=0.01)
    report = crawl_single([server.url + "/"], tmp_path / "out", limits)
    assert {(url.removeprefix(server.url), kind) for url, kind in errors(tmp_path / "out")} == {
        ("/slow", "timeout"),
        ("/huge", "body-cut"),
        ("/bomb", "gzip-bomb"),
        ("/reset", "disconnected"),
        ("/chain/3", "too-many-redirects"),
        ("/self", "redirect-loop"),
        ("/nowhere", "bad-redirect"),
        ("/notype", "content-type"),
        ("/br", "content-encoding"),
        ("/badgzip", "bad-encoding"),
        ("/header", "bad-http"),
    }
    stored = {url.removeprefix(server.url): (body, cut) for url, body, cut in archived(tmp_path / "out")}
    assert set(stored) == {"/", "/huge", "/zipped", "/in-zip", "/found-in-huge", "/later"}
    assert len(stored["/huge"][0]) == 1_000_000
    assert stored["/huge"][1] == "length"
    assert stored["/zipped"] == (b'<a href="/in-zip">z</a>', None)
    assert report.payload_bytes < 1_100_000
    first, second = (moment for moment, path in server.requests if path == "/later")
    assert second - first >= 1.0


def test_robots_that_fail_forbid_and_robots_that_move_are_followed(tiny_server, reply, tmp_path):
    async def broken(path, writer):
        writer.write(reply(b"", 500))

    async def moved(path, writer):
        if path == "/robots.txt":
            writer.write(reply(b"", 301, Location="/rules.txt"))
        elif path == "/rules.txt":
            writer.write(reply(b"User-agent: *\nDisallow: /no", kind="text/plain"))
        else:
            writer.write(reply(b'<a href="/no/x"><a href="/yes">'))

    first, second = tiny_server(broken), tiny_server(moved)
    report = crawl_single([first.url + "/", second.url + "/"], tmp_path / "out", CrawlLimits(**QUICK))
    assert report.errors == {"robots-disallowed": 1, "robots-unreachable": 1}
    assert set(first.paths()) == {"/robots.txt"}
    assert set(second.paths()) == {"/robots.txt", "/rules.txt", "/", "/yes"}


def test_the_delay_is_kept_on_every_host(site, tmp_path):
    limits = CrawlLimits(scope=site.scope, max_depth=1, delay_s=0.15, **QUICK)
    crawl_single([site.hub], tmp_path / "out", limits)
    site.stop()
    *requests, _cpu = read_json_lines(tmp_path / "access.jsonl")
    last: dict[str, float] = {}
    for moment, address, _ in requests:
        assert moment - last.get(address, 0.0) >= 0.15
        last[address] = moment
    assert len(requests) > len(last)


def test_a_full_disk_stops_the_crawl_with_one_line_and_a_later_run_goes_on(site, tmp_path):
    import resource

    out, old = tmp_path / "out", resource.getrlimit(resource.RLIMIT_FSIZE)
    limits = CrawlLimits(scope=site.scope, **QUICK)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, old[1]))
        with pytest.raises(UserError, match="no space left on the disk"):
            crawl_single([site.hub], out, limits)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    crawl_single([site.hub], out, limits)
    assert sorted(url for url, _, _ in archived(out)) == site.truth()["pages"]


def test_one_folder_holds_one_crawl_at_a_time(site, tmp_path):
    import fcntl

    out = tmp_path / "out"
    (out / "crawl").mkdir(parents=True)
    with (out / "crawl" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ConfigError, match="another process"):
            crawl_single([site.hub], out, CrawlLimits(scope=site.scope))
    assert os.listdir(out) == ["crawl"]
