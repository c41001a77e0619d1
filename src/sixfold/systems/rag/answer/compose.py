"""From a question and passages to a checked answer, sentence by sentence.

First it is decided whether the passages answer the question at all; then the units that would be quoted are
chosen; then, if there is a model and time, it writes from them, and each of its sentences is checked as soon as it
is whole. Quotation is what remains when the model is late, fails, or says nothing that is borne out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Literal

from sixfold.parts.lexical import Statistics
from sixfold.systems.rag.answer.abstain import THRESHOLD, assess
from sixfold.systems.rag.answer.citations import Checker
from sixfold.systems.rag.answer.extractive import Embed, quotations, rank_units, select
from sixfold.systems.rag.answer.generate import Budget, LanguageModelLike, Unsupported, Writer
from sixfold.systems.rag.answer.prompt import make_prompt
from sixfold.systems.rag.answer.question import Question
from sixfold.systems.rag.answer.types import Answer, AnswerMode, Evidence, Sentence, Verdict

__all__ = ["Mode", "answer"]

Mode = Literal["auto", "extractive", "generated"]


async def answer(
    question: str,
    evidence: Sequence[Evidence],
    *,
    model: LanguageModelLike | None = None,
    mode: Mode = "auto",
    budget: Budget | None = None,
    statistics: Statistics | None = None,
    embed: Embed | None = None,
    count_tokens: Callable[[str], int] | None = None,
    unsupported: Unsupported = Unsupported.WITHHOLD,
    threshold: float = THRESHOLD,
    language: str = "en",
) -> AsyncGenerator[Sentence | Answer, None]:
    """Sentences as they become certain, then the whole `Answer`, which has the same sentences.

    mode: "auto" and "generated" ask the model; an answer that has quotations instead says in `fallback` why.
    statistics: of `question_terms(question)` over the index; without them the passages have to do.
    embed: None leaves out the similarity when units are ranked, which is what takes time.
    """
    budget = budget or Budget()
    asked = Question.of(question, statistics, [passage.text for passage in evidence])
    judged = assess(asked, evidence, threshold=threshold)
    abstained = Answer(AnswerMode.ABSTAINED, (), tuple(evidence), judged.confidence, judged.reason)
    if judged.reason:
        yield abstained
        return
    if embed is None:
        ranked = rank_units(asked, evidence, language=language)
    else:  # in a thread: other requests go on meanwhile
        ranked = await asyncio.to_thread(rank_units, asked, evidence, embed=embed, language=language)
    chosen = select(ranked, budget.sentences)
    if not chosen:
        yield replace(abstained, reason="no sentence of the passages found has to do with the question")
        return

    checker = Checker(evidence, [one.unit for one in chosen])
    writer = Writer(checker, question, budget, unsupported)
    fallback = ""
    if mode != "extractive":
        prompt = make_prompt(asked, chosen, max_tokens=budget.prompt_tokens, count_tokens=count_tokens)
        if model is None:
            fallback = "no model"
        elif prompt is None:
            fallback = "prompt too long"
        elif budget.deadline_s < budget.least_s:
            fallback = "late"
        else:
            async with aclosing(writer.write(model, prompt.messages)) as written:
                async for sentence in written:
                    yield sentence
            if not writer.supported:
                fallback = writer.failure or "withheld"

    shown = list(writer.shown)
    if not writer.supported:
        for sentence in quotations(chosen):
            shown.append(sentence)
            yield sentence
    quoted = all(sentence.verdict is Verdict.QUOTED for sentence in shown) and not writer.shown
    yield Answer(
        AnswerMode.EXTRACTIVE if quoted else AnswerMode.GENERATED,
        tuple(shown),
        tuple(evidence),
        judged.confidence,
        withheld=tuple(writer.withheld),
        fallback=fallback,
        usage=writer.usage,
    )
