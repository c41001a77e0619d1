"""The rooms beside the answers: why a page was dropped, the index, its builds as they go on."""

from __future__ import annotations

import json
import shutil
from typing import Any
from urllib.parse import quote

import make_build
from playwright.sync_api import Page, expect


def test_a_duplicate_is_explained(page: Page, site: Any) -> None:
    page.goto(site.address)
    page.get_by_role("link", name="Dropped pages").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Why was this dropped?")
    address = page.get_by_role("textbox", name="Address of the page")
    expect(address).to_be_focused()
    address.fill("http://mirror.example/class.html")
    page.keyboard.press("Enter")
    fate = page.locator(".fates .dropped")
    expect(fate).to_contain_text("Same text")
    expect(fate).to_contain_text("exact-duplicate: same-text")
    expect(fate).to_contain_text(f"text of {make_build.url('class')}")
    assert "why=" in page.url


def test_a_page_that_was_kept_and_one_that_was_never_read(page: Page, site: Any, watch: Any) -> None:
    watch.expected = ("status of 400", "status of 404")
    page.goto(f"{site.address}/#why={quote(make_build.url('assert'), safe='')}")
    expect(page.locator(".fates .kept")).to_contain_text("It is in the index")
    for address, said in (
        ("http://nowhere.example/", "No record of it"),
        ("/etc/passwd", "expected one with a scheme"),
    ):
        page.get_by_role("textbox", name="Address of the page").fill(address)
        page.keyboard.press("Enter")
        expect(page.locator("#fates")).to_contain_text(said)


def test_the_index_is_described(page: Page, site: Any) -> None:
    page.goto(f"{site.address}/#index")
    expect(page.locator(".tiles")).to_contain_text("passages")
    expect(page.locator("#tables")).to_contain_text("docs.example")
    expect(page.locator("#tables tbody").first.locator("tr").nth(1)).to_be_visible()
    expect(page.locator("#following")).to_have_text("live")
    expect(page.locator(".build .state")).to_have_text("done")
    page.get_by_text("What was dropped").click()
    expect(page.locator(".build table")).to_contain_text("exact-duplicate")


def test_a_build_is_followed_while_it_goes_on(page: Page, site: Any) -> None:
    """Its files appear as a build writes them, without a build: those are what progress is read from."""
    first = next(site.index.glob("builds/0001"))
    second = first.with_name("0002")
    page.goto(f"{site.address}/#index")
    expect(page.locator(".build")).to_have_count(1)
    try:
        shutil.copytree(first, second)
        summary = json.loads((second / "done.json").read_text())
        (second / "done.json").unlink()
        build = page.locator(".build", has_text="Build 0002")
        expect(build).to_contain_text("interrupted")
        clean = build.get_by_role("progressbar", name="clean")
        assert float(clean.get_attribute("value") or 0) > 0
        (second / "done.json").write_text(json.dumps(summary))
        expect(build.locator(".state")).to_have_text("done")
    finally:
        shutil.rmtree(second, ignore_errors=True)
    expect(page.locator(".build")).to_have_count(1)


def test_nothing_is_followed_that_nobody_looks_at(page: Page, site: Any) -> None:
    page.goto(f"{site.address}/#index")
    expect(page.locator("#following")).to_have_text("live")
    with page.expect_event("requestfailed", lambda request: request.url.endswith("/v1/builds/events")):
        page.get_by_role("link", name="Ask", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Ask the index")


def test_the_api_is_described_by_what_the_service_says_of_itself(page: Page, site: Any) -> None:
    page.goto(f"{site.address}/docs")
    routes = page.locator(".route")
    expect(routes.filter(has_text="POST /v1/search")).to_contain_text("deadline_s")
    expect(routes.filter(has_text="POST /v1/search")).to_contain_text("required")
    expect(routes.filter(has_text="GET /v1/why")).to_contain_text("url")
    assert routes.count() >= 12
    page.get_by_role("link", name="Ask").click()
    expect(page.get_by_role("textbox", name="Question")).to_be_visible()
