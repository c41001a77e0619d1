"""Nothing that a document, an address or a link says is ever done: it is shown."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode, urlsplit

import hostile_page
import pytest
from http_client import Client
from playwright.sync_api import Page, expect

QUESTION = "What does the zanzibar protocol send to every reader of the page?"


def answered(page: Page, site: Any, question: str = QUESTION) -> None:
    page.goto(f"{site.address}/#{urlencode({'q': question})}")
    expect(page.locator("#making summary").last).to_be_visible()


def test_hostile_titles_texts_and_addresses_are_shown_as_they_are(page: Page, site: Any) -> None:
    answered(page, site)
    expect(page.locator("#answer")).to_contain_text("</script><script>window.hacked=1</script>")
    expect(page.locator(".passage .title").first).to_have_text(hostile_page.TITLE)
    expect(page.locator(".passage .url").first).to_have_text(hostile_page.URL)
    assert page.locator("main img, main script, main iframe, main svg").count() == 0


def test_the_hostile_original_is_shown_and_does_nothing(page: Page, site: Any) -> None:
    answered(page, site)
    page.locator(".cite").first.click()
    frame = page.frame_locator("iframe")
    expect(frame.locator("#passage")).to_be_in_viewport()
    expect(frame.locator("body")).to_contain_text("window.hacked=1")
    assert frame.locator("script, img, iframe, form, input, svg, [onclick], [onload], base, link").count() == 0
    hrefs = [link.get_attribute("href") or "" for link in frame.locator("a[href]").all()]
    assert hrefs
    assert all(urlsplit(href).scheme == "http" for href in hrefs)
    page.wait_for_timeout(300)  # a refresh or a handler would have had its chance
    assert page.evaluate("window.hacked") is None


def test_the_original_is_served_with_a_policy_that_forbids_everything(page: Page, site: Any) -> None:
    client = Client(site.address)
    _, _, found = client.ask("/v1/search", {"query": "zanzibar"})
    status, headers, body = client.ask(f"/v1/passages/{found['data'][0]['chunk_id']}/original")
    assert status == 200
    assert headers["content-type"].startswith("text/html")
    policy = headers["content-security-policy"]
    assert policy.startswith("sandbox ")
    assert "default-src 'none'" in policy
    assert "allow-scripts" not in policy
    assert "<script" not in body


@pytest.mark.parametrize(
    "question",
    [
        "<img src=x onerror=window.hacked=1>",
        "</textarea><script>window.hacked=1</script>",
        "javascript:window.hacked=1",
    ],
)
def test_a_link_with_a_hostile_question_asks_it_and_no_more(page: Page, site: Any, question: str) -> None:
    answered(page, site, question)
    expect(page.get_by_role("textbox", name="Question", exact=True)).to_have_value(question)
    page.get_by_role("link", name="Sixfold").click()
    expect(page.locator("#recent a")).to_have_text([question])


def test_a_hostile_address_is_looked_up_and_no_more(page: Page, site: Any) -> None:
    page.goto(f"{site.address}/#{urlencode({'why': hostile_page.URL})}")
    expect(page.locator("#fates .asked")).to_have_text(hostile_page.URL)
    expect(page.locator(".fates .kept")).to_be_visible()


def test_the_page_needs_nothing_inline_and_nothing_from_elsewhere(page: Page, site: Any) -> None:
    status, headers, body = Client(site.address).ask("/")
    assert status == 200
    assert headers["content-security-policy"].startswith("default-src 'self'")
    assert "<style" not in body
    assert "style=" not in body
    assert " on" + "click" not in body
    assert "http://" not in body.replace("http://www.w3.org/2000/svg", "")
    page.goto(site.address)
    loaded = page.evaluate("performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert loaded
    assert all(name.startswith(site.address) for name in loaded)
