"""Attacks by a coordinator that keeps all messages and does not keep to the rules: what each of them wins."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgpack
import numpy as np
from numpy.typing import NDArray
from scipy.stats import chisquare

from sixfold.errors import UserError
from sixfold.files import read_json_lines
from sixfold.parts.array_codec import unpack
from sixfold.parts.signed_message import SIGNATURE_BYTES, Header, open_sealed
from sixfold.systems.hospital.federation.coordinator import Coordinator
from sixfold.systems.hospital.federation.job import Job
from sixfold.systems.hospital.federation.messages import LIMIT_BYTES, Phase
from sixfold.systems.hospital.local_federation import Handler
from sixfold.systems.hospital.provision import COORDINATOR
from sixfold.systems.hospital.train.algorithm import Algorithm

__all__ = ["Wiretap", "header_of", "looks_random", "partial_sums", "replays_answered", "vectors_in_the_clear"]

_SMALL = 1 << 20  # numbers below it are found anywhere by chance


@dataclass(slots=True)
class Wiretap:
    """Keeps every message between coordinator and hospitals."""

    messages: list[tuple[str, bytes, bytes]] = field(default_factory=list)  # hospital, request, answer
    before: Callable[[bytes], None] = lambda request: None  # is told every request first

    def __call__(self, site: str, request: bytes, handle: Handler) -> bytes:
        self.before(request)
        answer = handle(request)
        self.messages.append((site, request, answer))
        return answer


def header_of(request: bytes) -> Header:
    """The header of a message, whoever it is to; anybody who sees the bytes can read it."""
    return Header(*msgpack.unpackb(request[SIGNATURE_BYTES:])[:-1])


def vectors_in_the_clear(tap: Wiretap, vectors: Sequence[NDArray[np.uint64]]) -> int:
    """How many numbers of hospitals' vectors stand in any message as they are."""
    numbers = {int(value) for vector in vectors for value in vector if _SMALL < value < 2**64 - _SMALL}
    needles = [value.to_bytes(8, "little") for value in numbers]
    heap = b"\0".join(answer for _, _, answer in tap.messages)
    return sum(needle in heap for needle in needles)


def looks_random(tap: Wiretap, coordinator: Coordinator, length: int) -> float:
    """The p-value of the masked vectors' bytes being uniform: small if something of the vectors shines through."""
    data = b""
    for _, _, answer in tap.messages:
        header, body = open_sealed(answer, coordinator.kit.roster, COORDINATOR, LIMIT_BYTES)
        if header.phase == Phase.MASK and header.kind == "answer":
            data += unpack(body, LIMIT_BYTES)["vector"][-8 * length :]
    return float(chisquare(np.bincount(np.frombuffer(data, dtype=np.uint8), minlength=256)).pvalue)


def replays_answered(tap: Wiretap, handlers: dict[str, Handler], coordinator: Coordinator) -> int:
    """How many requests of a round are answered when they are sent once more."""
    answered = 0
    for site, request, _ in list(tap.messages):
        if header_of(request).phase in (Phase.OFFER, Phase.REPORT, Phase.FETCH):
            continue  # these tell nothing twice: a job, aggregates, a piece that was sent
        try:
            answer = handlers[site](request)
        except UserError:
            continue
        kind, _ = open_sealed(answer, coordinator.kit.roster, COORDINATOR, LIMIT_BYTES)
        answered += kind.kind == "answer"
    return answered


def partial_sums(coordinator: Coordinator, job: Job, algorithm: Algorithm, before: Path) -> int:
    """How many further sums of a round that is over are given out, over one hospital less.

    before: a copy of the coordinator's state before its last round: a coordinator that pretends to have crashed. The
    difference of two sums of one round would be the vector of the hospital that is left out.
    """
    folder = coordinator.folder / job.digest[:16]
    rounds = list(read_json_lines(folder / "rounds.jsonl"))
    shutil.rmtree(folder)
    shutil.copytree(before, folder)
    lying = replace(coordinator, pick=lambda round_, sites: tuple(sites)[1:])
    known = len(list(read_json_lines(folder / "rounds.jsonl")))
    with suppress(UserError):
        lying.run(job, algorithm, 0)
    later = list(read_json_lines(folder / "rounds.jsonl"))[known:]
    return sum(record["round"] == rounds[-1]["round"] and bool(record["counted"]) for record in later)
