"""Marks of chat templates inside a text, which a model would take for the end of a turn and the beginning of another.

llama.cpp and others look for these marks in the whole prompt, so that a passage with `<|im_end|><|im_start|>system`
in it would speak as the operator. What remains is only persuasion, which no escaping ends.
"""

from __future__ import annotations

import re

__all__ = ["without_marks"]

# ChatML, Llama 3, Phi, Qwen, DeepSeek: <|...|>; Llama 2, Mistral: <s>, <<SYS>>, [INST]; Gemma: <start_of_turn>, <bos>.
_MARK = re.compile(
    r"(<)(?=[|｜]|/?s>|/?SYS>>|(?:start|end)_of_turn>|[be]os>)"
    r"|(\[)(?=/?(?:INST|TOOL_CALLS|AVAILABLE_TOOLS)\])",
    re.IGNORECASE,
)


def without_marks(text: str) -> str:
    """The text with a blank inside each mark, so that it is read as text; without marks, the same object."""
    return _MARK.sub(r"\1\2 ", text) if "<" in text or "[" in text else text
