"""The measures of answers: what they count as right, as borne out and as rightly withheld."""

from __future__ import annotations

import asyncio

import pytest
from answer_evidence import PASSAGES
from doc_pages import PAGES
from fake_models import Talker

from sixfold.errors import ConfigError
from sixfold.parts.language_model import LanguageModel
from sixfold.parts.llama_server import LlamaServer
from sixfold.systems.rag.answer.generate import Budget
from sixfold.systems.rag.answer.types import Answer, AnswerMode, Citation, Evidence, Sentence, Verdict
from sixfold.systems.rag.evaluate_answers import (
    Agreement,
    Answered,
    answer_items,
    borne_out,
    evaluate_answers,
    evaluate_checker,
    is_correct,
)
from sixfold.systems.rag.labelled_claims import Claim, labelled_claims
from sixfold.systems.rag.qa_items import QaItem, qa_items

DEFAULT = QaItem("What is the default value of the parameter width of textwrap.wrap?", "default", "70", "u", 0, 9)
NOTHING = QaItem("What is the capital of Australia?", "off topic")
WRAP_AT = PASSAGES[0].text.index("wrap(text")
SPAN = Citation(1, WRAP_AT, WRAP_AT + len("wrap(text, width=70, **kwargs) -> list"))


def said(*texts: str, mode: AnswerMode = AnswerMode.GENERATED) -> Answer:
    sentences = tuple(Sentence(text, (SPAN,), 1.0, Verdict.SUPPORTED) for text in texts)
    return Answer(mode, sentences, tuple(PASSAGES), 0.9)


@pytest.mark.parametrize(
    ("item", "answer", "correct"),
    [
        (DEFAULT, said("The default value of width is 70."), True),
        (DEFAULT, said("wrap(text, width=70)"), True),
        (DEFAULT, said("The default value of width is 170."), False),
        (DEFAULT, said(mode=AnswerMode.ABSTAINED), False),
        (NOTHING, said(mode=AnswerMode.ABSTAINED), True),
        (NOTHING, said("Canberra."), False),
        (QaItem("q", "returns", "tuple[str, int]"), said("It returns `Tuple[str, int]`."), True),
        (QaItem("q", "returns", "tuple[str, int]"), said("It returns a tuple of int."), False),
        (QaItem("q", "purpose", "Wrap a single paragraph of text."), said("To wrap a paragraph of text."), True),
        (QaItem("q", "purpose", "Wrap a single paragraph of text."), said("It shortens text."), False),
    ],
)  # fmt: skip
def test_correctness(item: QaItem, answer: Answer, correct: bool) -> None:
    assert is_correct(item, answer) is correct


@pytest.mark.parametrize(
    ("text", "verdict", "faithful"),
    [
        ("wrap(text, width=70, **kwargs) -> list", Verdict.QUOTED, True),
        ("wrap(text, width=71, **kwargs) -> list", Verdict.QUOTED, False),
        ("The default value of width is 70.", Verdict.SUPPORTED, True),
        ("The default value of width is 71.", Verdict.SUPPORTED, False),
        ("The default value of width is None.", Verdict.SUPPORTED, False),
        ("It reads the colours of a palette from disk.", Verdict.SUPPORTED, False),
    ],
)
def test_faithfulness_is_decided_anew(text: str, verdict: Verdict, faithful: bool) -> None:
    assert borne_out(Sentence(text, (SPAN,), 1.0, verdict), PASSAGES, DEFAULT.question) is faithful
    assert not borne_out(Sentence(text, (), 1.0, verdict), PASSAGES, DEFAULT.question)
    assert not borne_out(Sentence(text, (Citation(99, 0, 1),), 1.0, verdict), PASSAGES, DEFAULT.question)


def test_rows_count_what_their_names_say() -> None:
    answered = [
        Answered(DEFAULT, said("The default value of width is 70."), 0.1),
        Answered(DEFAULT, said("The default value of width is 71."), 0.3),
        Answered(DEFAULT, said(mode=AnswerMode.ABSTAINED), 0.1),
        Answered(NOTHING, said(mode=AnswerMode.ABSTAINED), 0.1),
        Answered(NOTHING, said("Canberra."), 0.2),
    ]
    rows = {row.metric: row for row in evaluate_answers(answered, "generated")}
    assert {name: (round(row.value, 3), row.n) for name, row in rows.items()} == {
        "correctness": (0.333, 3),
        "correctness of answers given": (0.5, 2),
        "faithfulness": (0.333, 3),
        "abstention precision": (0.5, 2),
        "abstention recall": (0.5, 2),
        "generated": (1.0, 3),
        "words": (5.0, 3),
        "seconds": (0.2, 3),
    }
    assert all(row.low <= row.value <= row.high for row in rows.values())
    assert evaluate_answers([], "generated") == []


def retrieve(question: str) -> tuple[list[Evidence], None]:
    """All pages, those with most words of the question first."""
    words = set(question.replace(".", " ").replace("?", " ").split())
    ordered = sorted(PAGES, key=lambda page: -len(words & set(f"{page.title} {page.text}".replace("(", " ").split())))
    return [
        Evidence(n, page.doc_id, page.url, page.title, page.text, 1.0 / n) for n, page in enumerate(ordered, 1)
    ], None


def test_quotations_of_small_pages_are_right_and_exact() -> None:
    items = qa_items(PAGES, seed=1, n=24)
    answered = asyncio.run(answer_items(items, retrieve, mode="extractive"))
    assert len(answered) == len(items)
    rows = {row.metric: row.value for row in evaluate_answers(answered, "extractive")}
    assert rows["faithfulness"] == 1.0
    assert rows["correctness"] >= 0.8
    assert rows["abstention recall"] >= 0.7


def test_a_lying_model_costs_no_correctness() -> None:
    items = qa_items(PAGES, seed=1, n=12)
    honest = asyncio.run(answer_items(items, retrieve, mode="extractive"))
    lying = asyncio.run(answer_items(items, retrieve, model=Talker("The answer is 4711 of quux_frobnicator.")))
    assert [is_correct(one.item, one.answer) for one in lying] == [is_correct(one.item, one.answer) for one in honest]


def test_the_embedded_model_writes_answers_that_are_borne_out() -> None:
    items = [item for item in qa_items(PAGES, seed=1, n=40) if item.kind in ("default", "value", "base")][:4]

    async def ask() -> list[Answered]:
        with LlamaServer() as server:
            async with LanguageModel(server.base_url, server.api_key) as model:
                return await answer_items(items, retrieve, model=model, budget=Budget(deadline_s=30.0))

    answered = asyncio.run(ask())
    rows = {row.metric: row.value for row in evaluate_answers(answered, "generated")}
    assert rows["generated"] > 0.0
    assert rows["faithfulness"] == 1.0
    assert rows["correctness"] >= 0.5


def test_agreement_of_the_checker() -> None:
    agreement = Agreement(supported=40, missed=10, accepted=5, refused=45)
    assert (agreement.n, agreement.precision, agreement.recall) == (100, 40 / 45, 0.8)
    assert agreement.kappa == pytest.approx(0.7)  # (.85 - .5) / .5
    claims = [
        Claim("Width is 70 in the wrapper.", ("The width is 70 in the wrapper.",), "", True, "verbatim"),
        Claim("Width is 71 in the wrapper.", ("The width is 70 in the wrapper.",), "", False, "number"),
    ]
    assert evaluate_checker(claims) == Agreement(1, 0, 0, 1)
    assert evaluate_checker(labelled_claims(PAGES, seed=1, n=30)).kappa >= 0.6
    with pytest.raises(ConfigError, match="no claims"):
        evaluate_checker([])
