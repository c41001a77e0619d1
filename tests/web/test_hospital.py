"""The operator's page of a federation in a real browser: what is shown, what is text, and for everybody."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from contrasts import CONTRASTS
from operated_federation import Running, page_folder, run_private
from playwright.sync_api import Page, expect
from serving import serving

from sixfold.systems.hospital.page_server import create_app

HOSTILE = "<img src=x onerror='window.hacked=1'> <script>window.hacked=1</script>"


@dataclass
class Place:
    """Where the page is served, of what."""

    address: str
    folder: Path
    running: Running


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A federation with a budget, a missed round, a release by somebody with a hostile name, and an alarm."""
    home = tmp_path_factory.mktemp("federation")
    running = run_private(home)
    running.steward.release(running.candidate(person=HOSTILE))
    for period in (1, 2, 3, 4):
        running.steward.watch(period)
    folder = page_folder(home, running)
    with serving(create_app(folder)) as address:
        yield Place(address, folder, running)


def shown(page: Page, site: Place) -> None:
    page.goto(site.address)
    expect(page.locator("#fresh")).to_have_text("live")


def test_an_operator_sees_who_is_missing_what_is_left_and_what_to_decide(page: Page, site: Place) -> None:
    shown(page, site)
    alarm = page.get_by_role("alert").filter(has_text="Alarm at site3, period 4")
    expect(alarm).to_be_visible()
    expect(alarm).to_contain_text("sixfold hospital decide")
    expect(page.locator("#tiles")).to_contain_text("1.38 left")
    expect(page.locator("#tiles")).to_contain_text("passed")
    row = page.get_by_role("row", name="site1")
    expect(row).to_contain_text("counted in round 5")
    page.locator("#rounds summary").first.click()
    expect(page.locator("#rounds").get_by_role("row", name="2.0")).to_contain_text("site1")


def test_what_people_wrote_is_text(page: Page, site: Place) -> None:
    shown(page, site)
    expect(page.locator("#gate")).to_contain_text(HOSTILE)
    assert page.locator("main img, main script").count() == 0


def test_what_changes_is_drawn_and_what_was_opened_stays_open(page: Page, site: Place) -> None:
    shown(page, site)
    page.locator("#rounds summary").first.click()
    evidence = next(path for path in site.running.steward.folder.glob("*/evidence.json"))
    kept = evidence.read_text()
    try:
        evidence.write_text(kept.replace("onerror", "onclick"))
        expect(page.locator("#errors")).to_contain_text("did not sign this release")
        expect(page.locator("#alarms")).to_be_empty()
        expect(page.locator("#rounds table").first).to_be_visible()
    finally:
        evidence.write_text(kept)
    expect(page.locator("#errors")).to_be_empty()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(page: Page, site: Place, scheme: Any) -> None:
    page.emulate_media(color_scheme=scheme)
    shown(page, site)
    page.locator("#rounds summary").first.click()
    assert page.evaluate(CONTRASTS) == []


@pytest.mark.parametrize("context_options", [{"viewport": {"width": 360, "height": 740}}], ids=["360px"])
def test_a_narrow_screen_scrolls_tables_and_not_the_page(page: Page, site: Place, context_options: Any) -> None:
    shown(page, site)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_screen_reader_finds_its_way(page: Page, site: Place) -> None:
    shown(page, site)
    for role in ("banner", "main", "contentinfo"):
        expect(page.get_by_role(role)).to_have_count(1)
    unnamed = page.evaluate(
        "[...document.querySelectorAll('svg[role=img]')].filter((e) => !e.getAttribute('aria-label'))"
    )
    assert unnamed == []
    assert page.locator("table:not(:has(thead th[scope=col]))").count() == 0
