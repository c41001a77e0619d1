"""Questions: answerable ones have one answer in one place, the others have none anywhere."""

from __future__ import annotations

import pytest
from doc_pages import PAGES, page

from sixfold.systems.rag.page_facts import page_facts
from sixfold.systems.rag.qa_items import answerable_items, qa_items, unanswerable_items


def test_an_answer_stands_where_the_item_says() -> None:
    items = answerable_items(PAGES, seed=1, n=50)
    texts = {document.url: document.text for document in PAGES}
    assert {item.kind for item in items} == {"default", "returns", "base", "value", "purpose", "which"}
    assert len({item.question for item in items}) == len(items)
    for item in items:
        assert item.answerable
        stated = texts[item.url][item.start : item.end]
        # The name that a description asks for stands above the description.
        assert item.answer in (stated if item.kind != "which" else texts[item.url])
        assert "{" not in item.question


def test_the_seed_decides_and_not_the_order_of_the_documents() -> None:
    assert qa_items(PAGES, seed=3, n=30) == qa_items(PAGES[::-1], seed=3, n=30)
    assert qa_items(PAGES, seed=3, n=30) != qa_items(PAGES, seed=4, n=30)


def test_a_fact_that_two_versions_of_a_page_state_is_not_asked_about() -> None:
    other = page("Python: shapes", PAGES[0].text.replace("height=3", "height=4"), url="http://127.0.0.1/old.html")
    names = {item.answer for item in answerable_items([*PAGES, other], seed=1, n=50)}
    assert not names & {"3", "4"}


def test_unanswerable_questions_ask_for_what_no_page_has() -> None:
    items = unanswerable_items(PAGES, seed=1, n=30)
    corpus = "\n".join(document.text for document in PAGES).casefold()
    facts = [fact for document in PAGES for fact in page_facts(document)]
    kinds = {item.kind for item in items}
    assert kinds == {"invented name", "other module", "invented parameter", "absent library", "off topic"}
    for item in items:
        assert not item.answerable
        if item.kind.startswith("invented"):
            assert not all(word.strip("?.,").casefold() in corpus for word in item.question.split() if "_" in word)
        if item.kind == "other module":
            assert not any(fact.module in item.question and fact.name in item.question for fact in facts)


def test_a_library_that_the_corpus_has_is_not_called_absent() -> None:
    json = page("Python: json", "Functions\ndumps(obj, indent=None)\n")
    items = unanswerable_items([*PAGES, json], seed=1, n=60)
    assert not any("json.dumps" in item.question for item in items if item.kind == "absent library")


@pytest.mark.parametrize("n", [0, 1, 7, 40])
def test_as_many_as_wanted_or_as_there_are(n: int) -> None:
    items = qa_items(PAGES, seed=1, n=n, unanswerable_share=0.5)
    assert len(items) <= n
    assert n > 20 or len(items) == n


def test_no_module_no_question_with_an_answer() -> None:
    assert answerable_items([PAGES[2]], seed=1, n=10) == []
    assert answerable_items([], seed=1, n=10) == []
