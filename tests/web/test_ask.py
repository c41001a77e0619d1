"""Asking in a real browser: the answer, its citations, the original page, and what happens when things go wrong."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from playwright.sync_api import Locator, Page, Route, expect

QUESTION = "What does an assert statement insert into a program?"
QUOTED = "Assert statements are a convenient way to insert debugging assertions into a program"
NO_EVIDENCE = "Who won the football world cup in 1954?"


def question_box(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Question", exact=True)


def ask(page: Page, site: Any, question: str = QUESTION) -> None:
    """Open the page and ask as a person does; returns when the answer is whole."""
    page.goto(site.address)
    question_box(page).fill(question)
    page.keyboard.press("Enter")
    whole(page)


def whole(page: Page) -> None:
    expect(page.locator("#making summary").last).to_be_visible()
    expect(page.get_by_role("button", name="Ask", exact=True)).to_be_visible()


def test_an_answer_is_quoted_with_citations_and_coverage(page: Page, site: Any) -> None:
    ask(page, site)
    expect(page.locator("#answer")).to_contain_text(QUOTED)
    expect(page.locator("#mode")).to_contain_text("Quoted")
    assert page.locator("#answer .cite").count() >= 1
    expect(page.locator("#coverage")).to_contain_text("The whole index was searched: ")
    expect(page.locator("#coverage")).to_contain_text("shards")
    assert page.locator("#coverage .shards .answered").count() >= 2
    assert page.locator(".passage").count() >= 3
    expect(page.locator(".passage.cited mark").first).to_contain_text("ssert")


def test_a_citation_opens_the_exact_span_and_the_original_page(page: Page, site: Any) -> None:
    ask(page, site)
    cite = page.locator("#answer blockquote", has_text=QUOTED).locator(".cite").first
    cite.click()
    panel = page.get_by_role("complementary")
    expect(panel).to_be_visible()
    expect(panel.get_by_role("heading", level=2)).to_be_focused()
    assert QUOTED in " ".join(panel.get_by_role("region", name="Passage").locator("mark").inner_text().split())
    frame = page.frame_locator("iframe")
    expect(frame.locator("mark.cited").first).to_be_in_viewport()
    assert "ssert" in " ".join(frame.locator("mark").all_inner_texts())
    sandbox = page.locator("iframe").get_attribute("sandbox") or ""
    assert "allow-scripts" not in sandbox
    assert "allow-same-origin" not in sandbox
    expect(panel.locator("#panel-source")).to_contain_text("warc.gz at byte")
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(cite).to_be_focused()


def test_without_evidence_it_abstains_and_shows_the_nearest_passages(page: Page, site: Any) -> None:
    ask(page, site, NO_EVIDENCE)
    expect(page.locator("#mode")).to_contain_text("No answer")
    expect(page.locator("#answer")).to_contain_text("I cannot answer that")
    assert page.locator("#answer .cite").count() == 0


def test_the_model_writes_and_what_nothing_bears_out_is_withheld(page: Page, site: Any) -> None:
    site.model.says = (f"{QUOTED} [1]. ", "Elephants paint them blue every second Tuesday of the month [1]. ")
    ask(page, site)
    expect(page.locator("#mode")).to_contain_text("Written by the model, checked")
    expect(page.locator("#answer")).to_contain_text("convenient way")
    expect(page.locator("#answer")).not_to_contain_text("Elephants")
    page.get_by_text("withheld", exact=False).first.click()
    expect(page.locator(".withheld")).to_contain_text("Elephants")


def stream(*chunks: str) -> dict[str, Any]:
    body = "".join(f"data: {chunk}\n\n" for chunk in chunks)
    return {"status": 200, "content_type": "text/event-stream", "body": body}


def test_a_sentence_that_is_not_supported_is_marked(page: Page, site: Any) -> None:
    """In the stream that the contract describes, with a character that JavaScript counts twice."""
    passage = (
        '{"number":1,"chunk_id":"0","doc_id":"0","url":"http://a.test/","title":"A","language":"en",'
        '"text":"One \U0001f600 thing is said here.","start":0,"end":26,"score":1.0}'
    )
    coverage = '{"percent":100,"passages":1,"passages_total":1,"documents":1,"documents_total":1,"shards":[]}'
    content = "\U0001f600 One thing [1] Another. (not supported by the sources)"
    annotation = (
        '{"type":"url_citation","number":1,"chunk_id":"0","passage_start":6,"passage_end":14,"quote":"thing is",'
        '"url_citation":{"url":"http://a.test/","title":"A","start_index":12,"end_index":15}}'
    )
    sentences = (
        '[{"text":"\U0001f600 One thing","citations":[1],"support":1,"verdict":"supported"},'
        '{"text":"Another.","citations":[],"support":0.1,"verdict":"unsupported"}]'
    )
    last = (
        f'{{"choices":[{{"index":0,"delta":{{"annotations":[{annotation}]}},"finish_reason":"stop"}}],"sixfold":{{'
        f'"mode":"generated","coverage":{coverage},"degraded":["rerank","context"],"generation":1,'
        f'"sentences":{sentences},"passages":[{passage}],"timings_s":{{}}}}}}'
    )
    chunks = (
        '{"choices":[{"delta":{"role":"assistant"}}]}',
        f'{{"choices":[{{"delta":{{}}}}],"sixfold":{{"passages":[{passage}],"coverage":{coverage}}}}}',
        f'{{"choices":[{{"delta":{{"content":"{content}"}}}}]}}',
        last,
        "[DONE]",
    )
    page.route("**/v1/chat/completions", lambda route: route.fulfill(**stream(*chunks)))
    page.route("**/v1/passages/**", lambda route: route.fulfill(status=404, json={"error": {"message": "gone"}}))
    ask(page, site)
    expect(page.locator("#answer .sentence").nth(0)).to_have_text("\U0001f600 One thing 1 ")
    expect(page.locator("#answer .unsupported")).to_have_text("Another.")
    expect(page.locator("#answer .doubt")).to_have_text("not supported by the sources")
    expect(page.locator("#degraded")).to_contain_text("Time was short")
    expect(page.locator("#degraded")).to_contain_text("the model read less of the passages")
    expect(page.locator(".passage mark")).to_have_text("thing is")


def test_the_stream_is_shown_sentence_by_sentence_and_spoken(page: Page, site: Any) -> None:
    site.model.says, site.model.hangs = (f"{QUOTED} [1]. Assertions",), True
    page.goto(site.address)
    question_box(page).fill(QUESTION)
    page.keyboard.press("Enter")
    expect(page.locator("#answer")).to_contain_text("convenient way")  # while the model has not come to its end
    expect(page.locator("#answer")).to_have_attribute("aria-busy", "true")
    log = page.get_by_role("log")
    expect(log).to_have_attribute("aria-live", "polite")
    expect(log).to_contain_text("convenient way")
    expect(page.get_by_role("button", name="Stop")).to_be_visible()


def test_stop_ends_the_request_and_the_work_behind_it(page: Page, site: Any) -> None:
    site.model.says, site.model.hangs = (f"{QUOTED} [1]. Assertions",), True
    page.goto(site.address)
    question_box(page).fill(QUESTION)
    page.keyboard.press("Enter")
    expect(page.locator("#answer")).to_contain_text("convenient way")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#mode")).to_have_text("stopped before its end")
    expect(page.locator("#answer")).to_contain_text("convenient way")
    expect(page.get_by_role("button", name="Ask", exact=True)).to_be_visible()
    assert site.model.cancelled.wait(10), "the model went on for nobody"


def test_a_shard_that_is_gone_is_said_to_be(page: Page, site: Any) -> None:
    site.copies[1].broken = True
    ask(page, site)
    coverage = page.locator("#coverage")
    expect(coverage).to_contain_text(re.compile(r"\d[\d.]* % of the index was searched: \d+ of \d+ passages"))
    expect(coverage).to_contain_text(re.compile(r"Shard 1 \(\d+ passages\) did not answer: "))
    expect(coverage.locator(".shards .failed").first).to_be_visible()


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_service_is_waited_for_and_can_be_asked_again(page: Page, site: Any, watch: Any, status: int) -> None:
    watch.expected = (f"status of {status}",)
    answers = iter([True])

    def busy(route: Route) -> None:
        if next(answers, False):
            error = {"message": "overloaded: about 2.0 s of work are ahead", "type": "x", "param": None, "code": "x"}
            route.fulfill(status=status, headers={"Retry-After": "2"}, json={"error": error})
        else:
            route.continue_()

    page.route("**/v1/chat/completions", busy)
    page.goto(site.address)
    question_box(page).fill(QUESTION)
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text(
        "The service is busy (overloaded: about 2.0 s of work are ahead)."
    )
    again = page.get_by_role("button", name="Try again")
    expect(again).to_be_disabled()
    expect(page.locator(".wait")).to_contain_text(re.compile("in [12] s"))
    expect(again).to_be_enabled()
    again.click()
    whole(page)
    expect(page.locator("#answer")).to_contain_text(QUOTED)
    expect(page.get_by_role("alert")).to_have_count(0)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"status": 400, "json": {"error": {"message": "messages: too long"}}}, "not understood (messages: too long)"),
        ({"status": 500, "body": "<html>oops"}, "The service failed"),
        ({"status": 401, "json": {"error": {"message": "needs the token"}}}, "refuses this page (needs the token)"),
        (stream('{"choices":[{"delta":{"content":"Half of"}}]}'), "broke off before its end"),
        (stream('{"error":{"message":"the log has more under trace 1"}}'), "failed (the log has more under trace 1)"),
    ],
)
def test_what_goes_wrong_is_one_sentence_that_says_what_to_do(
    page: Page, site: Any, watch: Any, answer: dict[str, Any], said: str
) -> None:
    watch.expected = ("status of",)
    page.route("**/v1/chat/completions", lambda route: route.fulfill(**answer))
    page.goto(site.address)
    question_box(page).fill(QUESTION)
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text(said)
    expect(page.get_by_role("button", name="Try again")).to_be_enabled()


def test_a_service_that_is_gone_is_said_to_be(page: Page, site: Any, watch: Any) -> None:
    watch.expected = ("ERR_CONNECTION",)
    page.goto(site.address)
    page.route("**/v1/chat/completions", lambda route: route.abort("connectionrefused"))
    question_box(page).fill(QUESTION)
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("does not answer")


def test_a_link_asks_with_its_filters_and_the_back_button_leads_through_questions(page: Page, site: Any) -> None:
    page.goto(f"{site.address}/#{urlencode({'q': QUESTION, 'mode': 'extractive', 'host': 'docs.example'})}")
    whole(page)
    expect(question_box(page)).to_have_value(QUESTION)
    expect(page.get_by_label("Quotes only")).to_be_checked()
    expect(page.get_by_label("Host")).to_have_value("docs.example")
    expect(page.get_by_label("Language").locator("option").nth(1)).to_contain_text("English")
    assert all("docs.example" in url for url in page.locator(".passage .url").all_inner_texts())
    question_box(page).fill(NO_EVIDENCE)
    page.keyboard.press("Enter")
    expect(page.locator("#mode")).to_contain_text("No answer")
    assert quote("football") in page.url
    page.go_back()
    expect(page.locator("#answer")).to_contain_text(QUOTED)


def test_the_filters_and_the_mode_are_what_the_service_is_asked(page: Page, site: Any) -> None:
    page.goto(site.address)
    expect(page.get_by_label("Host").locator("option")).not_to_have_count(1)
    page.get_by_label("Host").select_option("docs.example")
    page.get_by_label("Language").select_option("en")
    page.get_by_label("Quotes only").check()
    question_box(page).fill(QUESTION)
    with page.expect_request("**/v1/chat/completions") as asked:
        page.get_by_role("button", name="Ask", exact=True).click()
    body = asked.value.post_data_json
    assert body["filters"] == {"host": "docs.example", "language": "en"}
    assert body["mode"] == "extractive"
    assert body["stream"] is True
    whole(page)


def test_questions_are_remembered_in_this_tab_only(page: Page, site: Any) -> None:
    ask(page, site)
    page.get_by_role("link", name="Sixfold").click()
    expect(page.locator("#recent a")).to_have_text([QUESTION])
    assert page.evaluate("Object.keys(localStorage)") == []
    other = page.context.new_page()
    other.goto(site.address)
    expect(other.locator("#recent")).to_be_hidden()
    other.close()
    page.get_by_role("button", name="Forget them").click()
    expect(page.locator("#recent")).to_be_hidden()
    assert QUESTION not in page.evaluate("JSON.stringify(sessionStorage)")
