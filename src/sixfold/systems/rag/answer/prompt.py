"""The prompt: what a model of 135 million parameters can follow, in about a hundred tokens.

The fixed part comes first, so that its prefix is cached. Notes and question are data: they are put on lines of
their own, and the marks of chat templates in them are broken, so that neither can end its turn and begin another.
Whatever a passage makes the model say, only sentences that the passages bear out leave `compose`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sixfold.parts.chat_marks import without_marks
from sixfold.parts.language_model import Message, estimate_tokens
from sixfold.systems.rag.answer.context import Context, pack
from sixfold.systems.rag.answer.extractive import Ranked
from sixfold.systems.rag.answer.question import Question

__all__ = ["SYSTEM", "Prompt", "make_prompt"]

SYSTEM = "Answer the question from the notes in one short sentence."
TOKENS_OF_TEMPLATE = 24  # what a chat template puts around two messages

_QUALIFIED = re.compile(r"\b(?:[A-Za-z_]\w*\.)+([A-Za-z_]\w*)")


@dataclass(frozen=True, slots=True)
class Prompt:
    """Messages for a model, the notes in them, and about how many tokens they are."""

    messages: tuple[Message, ...]
    context: Context
    tokens: int


def make_prompt(
    question: Question,
    chosen: Sequence[Ranked],
    *,
    max_tokens: int,
    count_tokens: Callable[[str], int] | None = None,
) -> Prompt | None:
    """The prompt within `max_tokens`; None if no note fits beside the question.

    count_tokens: of the model; without it an estimate that errs on the side of too many.
    """
    count = count_tokens or estimate_tokens
    asked = f"Question: {_for_model(_QUALIFIED.sub(_shortened(chosen), question.text))}"
    fixed = count(SYSTEM) + count(asked) + TOKENS_OF_TEMPLATE
    context = pack(question, chosen, max_tokens - fixed, lambda text: count(text) + 1)
    if not context.notes:
        return None
    notes = "\n".join(_for_model(note.text) for note in context.notes)
    messages: tuple[Message, ...] = (
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": f"Notes:\n{notes}\n\n{asked}"},
    )
    return Prompt(messages, context, fixed + context.tokens)


def _shortened(chosen: Sequence[Ranked]) -> Callable[[re.Match[str]], str]:
    """`wrap` for `textwrap.wrap` where a unit defines it: the notes have the short name, and a small model copies."""
    defined = {ranked.unit.form.name.lower() for ranked in chosen}
    return lambda found: found[1] if found[1].lower() in defined else found[0]


def _for_model(text: str) -> str:
    """One line without control characters and without marks that a chat template gives a meaning."""
    line = " ".join(text.split())
    plain = "".join(char for char in line if unicodedata.category(char) not in ("Cc", "Cf", "Cs"))
    return without_marks(plain)
