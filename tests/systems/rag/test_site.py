import http.client
import json
import os
import resource
import socket
import time
from contextlib import ExitStack
from urllib.parse import urljoin

import psutil
import pytest
from lxml import html

from sixfold.errors import ConfigError, InputError, PrerequisiteError
from sixfold.files import read_json
from sixfold.systems.rag.site import HUB_ADDRESS, SiteServer, render_site, site_truth
from sixfold.systems.rag.site_build import MIRRORS
from sixfold.systems.rag.site_render import module_names, render_modules


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    packages = ["json", "email", "html", "wsgiref", "bisect", "heapq", "csv"]
    return render_site(tmp_path_factory.mktemp("site"), packages=packages, seed=1)


def fetch(url, timeout=5):
    """(status, headers, body) without following anything."""
    host, path = url.removeprefix("http://").split("/", 1)
    connection = http.client.HTTPConnection(host, timeout=timeout)
    connection.request("GET", "/" + path)
    answer = connection.getresponse()
    try:
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def test_every_page_is_reached_by_links_and_every_link_stays_on_the_web_of_hosts(folder):
    with SiteServer(folder) as site:
        truth = site.truth()
        known, queue = {site.hub}, [site.hub]
        while queue:
            url = queue.pop()
            status, headers, body = fetch(url) if "/odd/cut" not in url else (0, {}, b"")
            if status in (301, 302):
                links = [headers["Location"]]
            elif status == 200 and headers["Content-Type"].startswith("text/html") and b"\x00" not in body:
                tree = html.fromstring(body)
                tree.make_links_absolute(url)
                links = [link.partition("#")[0] for link in tree.xpath("//a/@href")]
            else:
                links = []
            for link in links:
                link = urljoin(url, link)
                ours = link.startswith("http://127.0.") and f":{site.port}/" in link
                if ours and "/private/" not in link and link not in known:
                    known.add(link)
                    queue.append(link)
        assert set(truth["pages"]) <= known
        hosts = {page.split("/")[2].split(":")[0] for page in truth["pages"]}
        assert hosts == {HUB_ADDRESS, *truth["hosts"]}
        assert len(truth["hosts"]) == (1 + len(MIRRORS)) * 7


def test_each_fault_does_what_its_name_says(folder):
    with SiteServer(folder) as site:
        faults = site.truth()["faults"]
        assert fetch(faults["missing"][0])[0] == 404
        assert fetch(faults["server-error"][0])[0] == 500
        with pytest.raises(http.client.IncompleteRead):
            fetch(faults["truncated"][0])
        status, headers, _ = fetch(faults["redirect"][0])
        assert status in (301, 302)
        assert fetch(faults["redirect-loop"][0])[1]["Location"] == "/odd/loop-b"
        begin = time.monotonic()
        fetch(faults["slow"][0])
        assert time.monotonic() - begin >= 0.02
        status, headers, body = fetch(faults["wrong-charset"][0])
        assert headers["Content-Type"] == "text/html; charset=utf-8"
        with pytest.raises(UnicodeDecodeError):
            body.decode("utf-8")
        _, headers, body = fetch(faults["binary-as-html"][0])
        assert headers["Content-Type"].startswith("text/html")
        assert b"\x00" in body
        pairs = zip(faults["duplicate"], faults["duplicate-of"], strict=True)
        assert all(fetch(copy)[2] == fetch(original)[2] for copy, original in pairs)
        near, original = fetch(faults["near-duplicate"][0])[2], fetch(faults["near-duplicate-of"][0])[2]
        assert near != original
        assert 0 < len(near) - len(original) < len(original) / 2 + 200
        assert b"Disallow: /private/" in fetch(faults["robots"][0])[2]
        assert b"Crawl-delay: 0.2" in fetch(faults["crawl-delay"][0])[2]
        assert b"/private/trap/8" in fetch(faults["disallowed"][0].split("/private")[0] + "/private/trap/7")[2]


def test_rendering_is_cached_and_the_same_every_time(folder, tmp_path):
    packages = ["json", "email", "html", "wsgiref", "bisect", "heapq", "csv"]
    begin = time.monotonic()
    assert render_site(folder.parent, packages=packages, seed=1) == folder
    assert time.monotonic() - begin < 1.0
    again = render_site(tmp_path, packages=packages, seed=1)
    assert again.name == folder.name
    for name in ("site.json", "truth.json", "pages.bin"):
        assert (again / name).read_bytes() == (folder / name).read_bytes()
    other = render_site(tmp_path, packages=packages, seed=2)
    assert other.name != folder.name
    assert read_json(other / "truth.json")["faults"] != read_json(folder / "truth.json")["faults"]


def test_a_limit_makes_a_small_site(tmp_path):
    folder = render_site(tmp_path, packages=["json", "email", "xml"], limit=5, seed=0)
    pages = [url for url in site_truth(folder, 1)["pages"] if "/pydoc/" in url]
    assert 0 < len(pages) <= (1 + len(MIRRORS)) * 5
    with pytest.raises(ConfigError, match="no installed package"):
        render_site(tmp_path, packages=["no_such_package_here"])


def test_pages_show_nothing_of_this_machine(folder):
    import zlib

    blob = (folder / "pages.bin").read_bytes()
    for _, _, offset, size, _ in read_json(folder / "site.json"):
        body = zlib.decompress(blob[offset : offset + size])
        assert b'href="file:' not in body
        assert b" at 0x" not in body
        assert str(folder).encode() not in body


def test_a_module_that_ends_its_process_is_skipped(tmp_path, monkeypatch):
    from sixfold.systems.rag import site_render

    package = tmp_path / "killer"
    package.mkdir()
    (package / "__init__.py").write_text('"""fine"""')
    (package / "dies.py").write_text("import os; os._exit(3)")
    (package / "hangs.py").write_text("import time; time.sleep(99)")
    (package / "noisy.py").write_text("print('noise'); import warnings; warnings.warn('loud')")
    (package / "raises.py").write_text("raise SystemExit(1)")
    real = site_render.subprocess.Popen

    def with_path(command, *, env, **options):
        return real(command, env={**env, "PYTHONPATH": f"{env['PYTHONPATH']}:{tmp_path}"}, **options)

    monkeypatch.setattr(site_render.subprocess, "Popen", with_path)
    monkeypatch.setattr(site_render, "_MODULE_TIMEOUT_S", 1.5)
    names = ["killer", "killer.dies", "killer.hangs", "killer.noisy", "killer.raises"]
    pages = render_modules({"killer": names}, processes=1, on_page=lambda _: None)
    assert [page.module for page in pages] == names
    assert [bool(page.html_zlib) for page in pages] == [True, False, False, True, False]
    assert "killed" in str(pages[1].error)
    assert "SystemExit" in str(pages[4].error)


def test_modules_with_side_effects_are_left_out():
    names = module_names()
    assert not {"antigravity", "this", "idlelib", "test", "turtledemo", "ray", "torch"} & set(names)
    assert {"json", "asyncio", "numpy", "rich"} <= set(names)
    assert not [n for ns in names.values() for n in ns if "__main__" in n or ".tests" in n]


def test_bad_requests_and_unknown_hosts(folder):
    with SiteServer(folder) as site:
        for request in (b"POST / HTTP/1.1\r\n\r\n", b"nonsense\r\n\r\n", b"x" * 20_000):
            with socket.create_connection((HUB_ADDRESS, site.port), timeout=5) as connection:
                connection.sendall(request)
                assert connection.recv(100).startswith(b"HTTP/1.1 400")
        with socket.create_connection((HUB_ADDRESS, site.port), timeout=5) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\n\r\nGET /none HTTP/1.1\r\n\r\n")  # pipelined, then cut in two
            connection.sendall(b"GET / HT")
            connection.sendall(b"TP/1.1\r\n\r\n")
            received = b""
            while received.count(b"HTTP/1.1 ") < 3:
                received += connection.recv(65_536)
            assert [part[:3] for part in received.split(b"HTTP/1.1 ")[1:]] == [b"200", b"404", b"200"]


def test_it_listens_on_loopback_only_and_stops(folder):
    site = SiteServer(folder).start()
    process = psutil.Process(site.pid)
    listening = [c.laddr for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN]
    assert len(listening) == (1 + len(MIRRORS)) * 7 + 1
    assert all(address.ip.startswith("127.0.") and address.port == site.port for address in listening)
    site.stop()
    site.stop()
    assert not process.is_running()


def test_what_cannot_be_served_is_one_line(folder, tmp_path):
    with pytest.raises(PrerequisiteError, match="no such file"):
        SiteServer(tmp_path / "nothing").start()
    with SiteServer(folder) as site, pytest.raises(PrerequisiteError, match=f"port {site.port}"):
        SiteServer(folder, site.port).start()
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "site.json").write_text(json.dumps([["127.0.0.2", "/", 0, 1, {}]]))
    with pytest.raises(InputError, match=r"truth\.json"):
        site_truth(tmp_path / "half", 1)


def test_a_request_costs_next_to_nothing(folder, tmp_path):
    log = tmp_path / "access.jsonl"
    with SiteServer(folder, access_log=log) as site:
        process = psutil.Process(site.pid)
        page = max(site.truth()["pages"], key=len)
        connection = http.client.HTTPConnection(page.split("/")[2])
        before = process.cpu_times()
        for _ in range(400):
            connection.request("GET", "/" + page.split("/", 3)[3])
            connection.getresponse().read()
        after = process.cpu_times()
        connection.close()
    spent_s = after.user + after.system - before.user - before.system
    assert spent_s / 400 <= 0.0003  # 0.05 ms on an idle machine; times are counted in steps of 10 ms
    *requests, _cpu = (json.loads(line) for line in log.read_text().splitlines())
    assert len(requests) == 400


def test_a_process_with_more_than_a_thousand_open_files_renders_too():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 1_400:
        pytest.skip(f"at most {hard} files may be open here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1_400), hard))
    with ExitStack() as stack:
        for _ in range(1_100):
            stack.enter_context(open(os.devnull, "rb"))
        (page,) = render_modules({"abc": ["abc"]}, processes=1, on_page=lambda _: None)
    assert page.error is None
    assert page.html_zlib
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
