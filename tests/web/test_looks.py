"""Keyboard, themes, narrow screens, names and contrasts: the page for everybody."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any
from urllib.parse import urlencode

import pytest
from contrasts import CONTRASTS
from playwright.sync_api import Page, expect

QUESTION = "What does an assert statement insert into a program?"
NARROW = {"viewport": {"width": 360, "height": 740}}


def answered(page: Page, site: Any) -> None:
    page.goto(f"{site.address}/#{urlencode({'q': QUESTION})}")
    expect(page.locator("#making summary").last).to_be_visible()


def background(page: Page) -> str:
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))


def test_everything_is_done_by_keys(page: Page, site: Any) -> None:
    page.goto(site.address)
    box = page.get_by_role("textbox", name="Question", exact=True)
    expect(box).to_be_focused()
    page.keyboard.type(QUESTION)
    page.keyboard.press("Shift+Enter")
    expect(box).to_have_value(QUESTION + "\n")
    page.keyboard.press("Backspace")
    page.keyboard.press("Enter")
    expect(page.locator("#making summary").last).to_be_visible()
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.className") == "cite":
            break
    cite = page.locator(".cite").first
    expect(cite).to_be_focused()
    outline = cite.evaluate("(element) => getComputedStyle(element).outlineStyle")
    assert outline == "solid", "the focus cannot be seen"
    page.keyboard.press("Enter")
    expect(page.locator("#panel-title")).to_be_focused()
    expect(page.frame_locator("iframe").locator("#passage")).to_be_visible()
    wanted, reached = {"panel-close", "panel-passage", "IFRAME"}, set()
    for _ in range(12):
        page.keyboard.press("Tab")
        page.wait_for_timeout(100)  # the focus goes into the frame, another process, by and by
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
        if wanted <= reached:
            break
    assert wanted <= reached
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Escape")
    expect(page.locator("#panel")).to_be_hidden()
    expect(cite).to_be_focused()
    page.keyboard.press("/")
    expect(box).to_be_focused()
    expect(box).to_have_value(QUESTION)
    page.keyboard.type("a/b")
    expect(box).to_have_value("a/b")


def test_the_first_tab_leads_past_the_header(page: Page, site: Any) -> None:
    page.goto(f"{site.address}/#why")
    page.locator(".skip").focus()
    expect(page.locator(".skip")).to_be_in_viewport()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_switch_goes_through_system_light_and_dark_and_is_kept(page: Page, site: Any, scheme: Any) -> None:
    page.emulate_media(color_scheme=scheme)
    page.goto(site.address)
    light, dark = "rgb(255, 255, 255)", "rgb(16, 19, 24)"
    switch = page.get_by_role("button", name="Theme")
    assert background(page) == (light if scheme == "light" else dark)
    for name, colour in (("light", light), ("dark", dark)):
        switch.click()
        expect(switch).to_have_text(f"Theme: {name}")
        assert background(page) == colour
    page.reload()
    expect(switch).to_have_text("Theme: dark")
    assert background(page) == dark


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(page: Page, site: Any, scheme: Any) -> None:
    """WCAG 2.2, 1.4.3: 4.5 to 1, 3 to 1 for large text."""
    page.emulate_media(color_scheme=scheme)
    site.copies[1].broken = True
    answered(page, site)
    page.locator("#making summary").last.click()
    page.locator(".cite").first.click()
    expect(page.locator("iframe")).to_be_visible()
    assert page.evaluate(CONTRASTS) == []
    expect(page.frame_locator("iframe").locator("#passage")).to_be_visible()  # a frame still loading has no body
    assert page.frames[-1].evaluate(CONTRASTS) == []
    for room in ("why=http%3A%2F%2Fmirror.example%2Fclass.html", "index"):
        page.goto(f"{site.address}/#{room}")
        expect(page.locator(".fates .dropped, .tiles").locator("visible=true").first).to_be_visible()
        assert page.evaluate(CONTRASTS) == []


def test_what_a_screen_reader_needs_is_there(page: Page, site: Any) -> None:
    answered(page, site)
    page.locator(".cite").first.click()
    assert page.locator("html").get_attribute("lang") == "en"
    for role in ("banner", "main", "navigation", "search", "complementary", "log"):
        expect(page.get_by_role(role)).to_have_count(1)
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, textarea, a, iframe, summary, progress")]
          .filter((element) => element.checkVisibility())
          .filter((element) => !(element.getAttribute("aria-label") || element.title || element.textContent.trim()
            || [...(element.labels ?? [])].some((label) => label.textContent.trim())))
          .map((element) => element.outerHTML.slice(0, 90))"""
    )
    assert unnamed == []
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map((element) => element.id)")
    assert len(ids) == len(set(ids))
    levels = page.evaluate(
        """() => [...document.querySelectorAll("h1, h2, h3")].filter((e) => e.checkVisibility())
          .map((e) => Number(e.tagName[1]))"""
    )
    assert all(after <= before + 1 for before, after in pairwise(levels))
    small = page.evaluate(
        """() => [...document.querySelectorAll("button, select")].filter((e) => e.checkVisibility())
          .map((e) => [e.getBoundingClientRect(), e.textContent]).filter(([box]) => box.width < 24 || box.height < 24)
          .map(([, text]) => text)"""
    )
    assert small == []


@pytest.mark.parametrize("context_options", [NARROW], ids=["360px"])
def test_a_narrow_screen_shows_everything_without_scrolling_sideways(
    page: Page, site: Any, context_options: Any
) -> None:
    for room in (urlencode({"q": QUESTION}), "why=http%3A%2F%2Fmirror.example%2Fclass.html", "index"):
        page.goto(f"{site.address}/#{room}")
        expect(page.locator("#making summary, .fates .dropped, .tiles").locator("visible=true").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
    answered(page, site)
    page.locator(".cite").first.click()
    panel = page.locator("#panel")
    assert (panel.bounding_box() or {})["width"] == 360
    page.locator("iframe").evaluate("(element) => element.scrollIntoView()")
    expect(page.frame_locator("iframe").locator("#passage")).to_be_in_viewport()
    assert page.locator("main").evaluate("(element) => element.inert"), "what is covered takes no part"
    page.get_by_role("button", name="Close").click()
    expect(panel).to_be_hidden()
    assert not page.locator("main").evaluate("(element) => element.inert")


@pytest.mark.parametrize("context_options", [{"reduced_motion": "reduce"}], ids=["reduced"])
def test_who_wants_no_motion_gets_none(page: Page, site: Any, context_options: Any) -> None:
    site.model.says, site.model.hangs = ("Nothing yet",), True
    page.goto(f"{site.address}/#{urlencode({'q': QUESTION})}")
    progress = page.locator("#progress")
    expect(progress).to_have_text(re.compile("Reading|Searching"))
    assert progress.evaluate("(element) => getComputedStyle(element, '::before').animationName") == "none"
