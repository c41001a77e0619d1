"""What whoever operates the fleet may choose."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from sixfold.errors import ConfigError

__all__ = ["Endpoint", "Replicas", "ServeSettings"]


@dataclass(frozen=True, slots=True)
class Replicas:
    """How many processes each stage has; every stage scales by itself."""

    gateway: int = 1
    shard: int = 1  # of each group of shards; hedging needs two
    embed: int = 1
    model: int = 1

    def __post_init__(self) -> None:
        for name in ("gateway", "shard", "embed", "model"):
            if not 1 <= getattr(self, name) <= 1_000:
                raise ConfigError(f"replicas: got {name}={getattr(self, name)}, expected 1 to 1000")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A model that somebody else serves, in OpenAI's protocol; the key is read from the environment and not kept."""

    url: str
    model: str
    key_variable: str | None = None

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise ConfigError(f"got endpoint {self.url!r}, expected http:// or https://")

    def key(self) -> str | None:
        """The key, from the environment of the process that asks."""
        return os.environ.get(self.key_variable) if self.key_variable else None


@dataclass(frozen=True)
class ServeSettings:
    """A fleet over one index."""

    index: Path
    host: str = "127.0.0.1"
    port: int = 8600
    groups: int | None = None  # processes that the shards are divided among; None: one a shard
    replicas: Replicas = field(default_factory=Replicas)
    deadline_s: float = 10.0  # of a request that names none
    most_deadline_s: float = 60.0
    concurrency: int = 4  # requests a gateway retrieves for at once
    admission: bool = True  # without it everything is taken on: only to show what that does
    hedge_quantile: float = 0.95
    cached_questions: int = 1_000
    probes: int | None = None  # lists of the inverted file to look into; None: what the index was tuned to
    fused_depth: int = 100  # results of each leg that the fusion sees
    embed_batch: int = 8  # texts that the encoder takes on before it looks for a question
    passages: int = 16  # that an answer is made from, unless the request says otherwise (docs/decisions/0017)
    context_tokens: int = 200  # of evidence that the language model reads
    answer_tokens: int = 80  # that it writes at most
    model: Endpoint | None = None  # None: the embedded one
    embeddings: Endpoint | None = None
    reranker: Endpoint | None = None
    rerank: bool = False  # by the encoder's token vectors; helps a little and costs much (docs/decisions/0016)
    generate: bool = True  # False: no language model is started, answers are quotations
    model_threads: int = 1
    model_slots: int = 2  # answers that one model writes at once
    writes: bool = True  # whether documents can be added and removed through the service
    ingest_share: float = 0.25  # of a core, for taking documents in and merging segments
    crawls: tuple[Path, ...] = ()  # whose archives a takedown has to reach
    token_variable: str = "SIXFOLD_TOKEN"  # noqa: S105  # its name; with a value, writes need it, and without loopback everything does

    def __post_init__(self) -> None:
        if not 0 <= self.port < 65_536:
            raise ConfigError(f"got port {self.port}, expected 0 to 65535")
        if not 0 < self.deadline_s <= self.most_deadline_s:
            raise ConfigError(f"got deadline_s={self.deadline_s}, expected above 0 and up to {self.most_deadline_s}")
        positive = (
            "concurrency", "passages", "context_tokens", "answer_tokens", "model_threads", "model_slots", "fused_depth",
            "embed_batch",
        )  # fmt: skip
        for name in positive:
            if getattr(self, name) < 1:
                raise ConfigError(f"got {name}={getattr(self, name)}, expected at least 1")
        if self.rerank and (self.reranker is not None or self.embeddings is not None):
            raise ConfigError("rerank needs the embedded encoder and stands in for a reranker's endpoint: choose one")
        if self.probes is not None and self.probes < 1:
            raise ConfigError(f"got probes={self.probes}, expected at least 1")
        if self.groups is not None and self.groups < 1:
            raise ConfigError(f"got groups={self.groups}, expected at least 1")

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return self.host in ("127.0.0.1", "localhost", "::1")
