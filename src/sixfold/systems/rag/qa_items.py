"""Questions with known answers, and questions without any, made from the documents of a build.

No model writes them: a question is a template over a fact that a page states in a readable form
(`page_facts`), so its answer can be checked by comparing text. The ones without an answer have the same
shape, so that abstaining cannot be learned from how a question is put.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from sixfold.systems.rag.page_facts import Fact, FactKind, module_of, page_facts
from sixfold.systems.rag.records import Document

__all__ = ["QaItem", "answerable_items", "qa_items", "unanswerable_items"]

_WORDINGS: dict[str, tuple[str, ...]] = {
    "default": (
        "What is the default value of the parameter {parameter} of {module}.{name}?",
        "If I call {module}.{name} without {parameter}, which value is used for it?",
        "Which default does {name} in the module {module} have for {parameter}?",
    ),
    "returns": (
        "What type does {module}.{name} return?",
        "What is the return annotation of the function {name} in {module}?",
        "Which type is a call of {module}.{name} annotated to give back?",
    ),
    "base": (
        "Which class does {module}.{name} inherit from?",
        "What is the base class of {name} in the module {module}?",
        "{module}.{name} is a subclass of which class?",
    ),
    "value": (
        "What is the value of {module}.{name}?",
        "Which value does the constant {name} have in the module {module}?",
        "What is {name} set to in {module}?",
    ),
    "purpose": (
        "What does {module}.{name} do?",
        "What is the function {name} of the module {module} for?",
        "Explain {module}.{name} in one sentence.",
    ),
    "which": (
        'Which function of the module {module} is described by "{answer}"?',
        "I use {module}. What is the name of the function for this: {answer}",
    ),
}
_OFF_TOPIC = (
    "What is the capital of Australia?",
    "How long should I boil an egg for a soft yolk?",
    "Who painted the ceiling of the Sistine Chapel?",
    "What is the boiling point of ethanol in degrees Celsius?",
    "How many players does a volleyball team have on court?",
    "When did the Berlin Wall fall?",
    "Which vitamin does sunlight help the skin to make?",
    "How far is the Moon from the Earth in kilometres?",
    "What do bees collect from flowers besides nectar?",
    "Which river flows through Cairo?",
    "How do I remove a red wine stain from a carpet?",
    "Who wrote the novel Middlemarch?",
    "What is the main ingredient of hummus?",
    "How often should a bicycle chain be oiled?",
    "Which planet has the shortest day?",
    "What is the currency of Switzerland?",
    "How tall is Mount Kilimanjaro?",
    "Which instrument has eighty-eight keys?",
    "What causes the tides of the sea?",
    "In which year did Portugal join the European Union?",
)
# Real names of libraries: only those whose page an index lacks are asked about.
_ELSEWHERE = (
    ("json", "dumps", "indent"), ("csv", "writer", "dialect"), ("subprocess", "run", "timeout"),
    ("re", "compile", "flags"),
    ("shutil", "copytree", "symlinks"), ("logging", "basicConfig", "level"), ("socket", "create_connection", "timeout"),
    ("numpy", "linspace", "endpoint"), ("pandas", "read_csv", "sep"), ("requests", "get", "params"),
    ("sqlite3", "connect", "isolation_level"), ("heapq", "nlargest", "key"), ("bisect", "insort", "lo"),
    ("difflib", "unified_diff", "lineterm"), ("glob", "glob", "recursive"), ("zipfile", "is_zipfile", "filename"),
    ("email", "message_from_string", "policy"), ("hashlib", "scrypt", "dklen"), ("asyncio", "wait_for", "timeout"),
    ("statistics", "quantiles", "method"),
)  # fmt: skip
_SYLLABLES = ("bra", "quin", "zol", "ter", "vex", "mil", "dro", "pha", "kel", "sut", "gor", "nim", "plo", "wex")


@dataclass(frozen=True, slots=True)
class QaItem:
    """A question and, if the corpus answers it, the answer and the one place that states it."""

    question: str
    kind: str  # the template; for a question without an answer, what it lacks
    answer: str = ""  # empty: nothing in the corpus answers it
    url: str = ""
    start: int = 0  # characters into the document's text: `text[start:end]` states the answer
    end: int = 0

    @property
    def answerable(self) -> bool:
        """Whether the corpus has the answer."""
        return bool(self.answer)


def qa_items(documents: Iterable[Document], seed: int, n: int, unanswerable_share: float = 0.4) -> list[QaItem]:
    """About n questions, chosen by the seed and not by the order of the documents, shuffled.

    Fewer if the documents state less; none at all if no page documents a module.
    """
    kept = list(documents)
    n_without = round(n * unanswerable_share)
    items = answerable_items(kept, seed, n - n_without) + unanswerable_items(kept, seed, n_without)
    random.Random(seed).shuffle(items)
    return items


def answerable_items(documents: Iterable[Document], seed: int, n: int) -> list[QaItem]:
    """At most n questions with an answer, the templates in turn; each fact is asked about once."""
    rng = random.Random(seed)
    by_kind: dict[str, list[Fact]] = defaultdict(list)
    for fact in _facts(documents):
        by_kind[fact.kind.value].append(fact)
    purposes = by_kind[FactKind.PURPOSE.value]
    sentences = [fact.answer.casefold() for fact in purposes]
    by_kind["which"] = [
        fact
        for fact in purposes
        if sentences.count(fact.answer.casefold()) == 1 and fact.name.casefold() not in fact.answer.casefold()
    ]
    chosen = {kind: _one_a_name(facts, rng) for kind, facts in by_kind.items()}
    asked: set[tuple[str, str, str]] = set()
    items: list[QaItem] = []
    kinds = [kind for kind in _WORDINGS if chosen.get(kind)]
    while kinds and len(items) < n:
        for kind in list(kinds):
            new = next((one for one in chosen[kind] if (one.module, one.name, one.kind.value) not in asked), None)
            if new is None:
                kinds.remove(kind)
            elif len(items) < n:
                asked.add((new.module, new.name, new.kind.value))
                items.append(_item(new, kind, rng))
    return items


def unanswerable_items(documents: Iterable[Document], seed: int, n: int) -> list[QaItem]:
    """At most n questions of the same shape that no document answers: five kinds in turn.

    An invented function of a real module, a real function in another module than its own, an invented parameter
    of a real function, a real library that the corpus lacks, and another subject altogether.
    """
    rng = random.Random(seed + 1)
    kept = sorted(documents, key=lambda document: document.url)
    pages: dict[str, str] = defaultdict(str)
    for document in kept:
        if module := module_of(document):
            pages[module] += document.text.casefold()
    of_functions = (FactKind.DEFAULT, FactKind.RETURNS, FactKind.PURPOSE)
    facts = _one_a_name([fact for fact in _facts(kept) if fact.kind in of_functions], rng)
    elsewhere = [names for names in _ELSEWHERE if names[0] not in pages]
    rng.shuffle(elsewhere)
    off_topic = list(_OFF_TOPIC)
    rng.shuffle(off_topic)
    made: list[list[QaItem]] = [
        [_without(fact.module, _invented(rng), _invented(rng), "invented name", rng) for fact in facts],
        [_moved(fact, pages, rng) for fact in facts],
        [_without(fact.module, fact.name, _invented(rng), "invented parameter", rng, "default")
         for fact in facts if fact.kind is FactKind.DEFAULT],
        [_without(*names, "absent library", rng) for names in elsewhere],
        [QaItem(question, "off topic") for question in off_topic],
    ]  # fmt: skip
    # In turn, so that any n has as many of each kind as there are.
    turns = [kind[turn] for turn in range(max(map(len, made))) for kind in made if turn < len(kind)]
    return list(islice(dict.fromkeys(item for item in turns if item.question), n))


def _facts(documents: Iterable[Document]) -> list[Fact]:
    """All facts, in an order that does not depend on that of the documents."""
    facts = [fact for document in documents for fact in page_facts(document)]
    times: dict[tuple[str, str, str, str], int] = defaultdict(int)
    for fact in facts:
        times[fact.module, fact.kind, fact.name, fact.parameter] += 1
    # Two pages of one module (two versions of it) may disagree: then the question has no one answer.
    once = [fact for fact in facts if times[fact.module, fact.kind, fact.name, fact.parameter] == 1]
    return sorted(once, key=lambda fact: (fact.module, fact.kind, fact.name, fact.parameter))


def _one_a_name(facts: Sequence[Fact], rng: random.Random) -> list[Fact]:
    """Shuffled; of a function's parameters one, and rather one whose default is not `None` or a truth value.

    The modules take turns, so that a large one does not ask every question.
    """
    order = list(facts)
    rng.shuffle(order)
    order.sort(key=lambda fact: fact.answer in ("None", "True", "False"))
    first = {(fact.module, fact.kind, fact.name): fact for fact in reversed(order)}
    by_module: dict[str, list[Fact]] = defaultdict(list)
    for fact in first.values():
        by_module[fact.module].append(fact)
    modules = sorted(by_module)
    rng.shuffle(modules)
    for module in modules:
        rng.shuffle(by_module[module])
    turns = max(map(len, by_module.values()), default=0)
    return [by_module[module][turn] for turn in range(turns) for module in modules if turn < len(by_module[module])]


def _item(fact: Fact, kind: str, rng: random.Random) -> QaItem:
    wording = rng.choice(_WORDINGS[kind])
    question = wording.format(module=fact.module, name=fact.name, parameter=fact.parameter, answer=fact.answer)
    answer = fact.name if kind == "which" else fact.answer
    return QaItem(question, kind, answer, fact.url, fact.start, fact.end)


def _without(
    module: str, name: str, parameter: str, lacks: str, rng: random.Random, template: str | None = None
) -> QaItem:
    wording = rng.choice(_WORDINGS[template or rng.choice(["default", "returns", "purpose"])])
    return QaItem(wording.format(module=module, name=name, parameter=parameter), lacks)


def _moved(fact: Fact, pages: dict[str, str], rng: random.Random) -> QaItem:
    """The fact's function, asked about in a module whose page does not have its name."""
    others = [module for module, text in sorted(pages.items()) if fact.name.casefold() not in text]
    if not others:
        return QaItem("", "other module")
    return _without(rng.choice(others), fact.name, fact.parameter or _invented(rng), "other module", rng)


def _invented(rng: random.Random) -> str:
    """A name that no library has, and that looks like one."""
    make: Callable[[int], str] = lambda n: "".join(rng.sample(_SYLLABLES, n))  # noqa: E731
    return f"{make(2)}_{make(2)}"
