"""What the service is asked, with the bounds of every field; the shapes of OpenAI's API where it has them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from sixfold.systems.rag.index.filters import Filter

__all__ = [
    "LONGEST_QUESTION",
    "ChatRequest",
    "DocumentsRequest",
    "EmbeddingsRequest",
    "Filters",
    "IncomingDocument",
    "Message",
    "SearchRequest",
    "TakedownRequest",
]

LONGEST_QUESTION = 4_000  # characters
_LONGEST_MESSAGE = 100_000
_LONGEST_DOCUMENT = 5_000_000
_MOST_INPUTS, _MOST_MESSAGES, _MOST_DOCUMENTS = 256, 100, 100

Question = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_QUESTION)]
Short = Annotated[str, StringConstraints(min_length=1, max_length=2_000)]
Deadline = Annotated[float, Field(ge=0.05, le=60, description="seconds from the arrival of the request")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class _Tolerant(BaseModel):
    """Clients of OpenAI's API send many fields; those that have no meaning here are passed over."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


class Filters(_Strict):
    """What the search is restricted to."""

    language: Annotated[str, StringConstraints(pattern="^[a-z]{2,3}$")] | None = None
    host: Annotated[str, StringConstraints(min_length=1, max_length=253)] | None = None
    url_prefix: Short | None = None

    def to_filter(self) -> Filter | None:
        if self.language is None and self.host is None and self.url_prefix is None:
            return None
        return Filter(language=self.language, host=self.host, url_prefix=self.url_prefix)


class SearchRequest(_Strict):
    query: Question
    k: Annotated[int, Field(ge=1, le=100)] = 10
    filters: Filters = Filters()
    deadline_s: Deadline | None = None


class TextPart(_Tolerant):
    type: Literal["text"]
    text: Annotated[str, StringConstraints(max_length=_LONGEST_MESSAGE)]


class Message(_Tolerant):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: (
        Annotated[str, StringConstraints(max_length=_LONGEST_MESSAGE)]
        | Annotated[list[TextPart], Field(max_length=_MOST_MESSAGES)]
        | None
    ) = None

    @property
    def text(self) -> str:
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content)
        return self.content or ""


class StreamOptions(_Tolerant):
    include_usage: bool = False


class ChatRequest(_Tolerant):
    model: Short = "sixfold-rag"
    messages: Annotated[list[Message], Field(min_length=1, max_length=_MOST_MESSAGES)]
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, Field(ge=1, le=4_096)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1, le=4_096)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    seed: int | None = None
    n: Literal[1] | None = None
    mode: Literal["auto", "extractive", "generated"] = "auto"
    k: Annotated[int, Field(ge=1, le=50)] | None = None
    filters: Filters = Filters()
    deadline_s: Deadline | None = None


class EmbeddingsRequest(_Tolerant):
    model: Short = "sixfold-embedding"
    input: (
        Annotated[str, StringConstraints(min_length=1, max_length=_LONGEST_MESSAGE)]
        | Annotated[
            list[Annotated[str, StringConstraints(min_length=1, max_length=_LONGEST_MESSAGE)]],
            Field(min_length=1, max_length=_MOST_INPUTS),
        ]
    )
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = None


class IncomingDocument(_Strict):
    url: Annotated[str, StringConstraints(min_length=1, max_length=2_000, pattern=r"^[A-Za-z][A-Za-z0-9+.-]*://\S+$")]
    html: Annotated[str, StringConstraints(max_length=_LONGEST_DOCUMENT)] | None = None
    text: Annotated[str, StringConstraints(max_length=_LONGEST_DOCUMENT)] | None = None
    title: Annotated[str, StringConstraints(max_length=1_000)] | None = None


class DocumentsRequest(_Strict):
    documents: Annotated[list[IncomingDocument], Field(min_length=1, max_length=_MOST_DOCUMENTS)]


class TakedownRequest(_Strict):
    url: Short | None = None
    host: Annotated[str, StringConstraints(min_length=1, max_length=253)] | None = None
    pattern: Short | None = None
    reason: Annotated[str, StringConstraints(max_length=1_000)] = ""

    def model_post_init(self, _: Any) -> None:
        if sum(rule is not None for rule in (self.url, self.host, self.pattern)) != 1:
            raise ValueError("expected exactly one of url, host and pattern")
