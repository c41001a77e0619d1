"""What a federation in one process should cost: messages, signatures and files that must be on disk; bytes by law."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sixfold.design.laws.federated import federated_bytes
from sixfold.files import replace_bytes
from sixfold.parts.signed_message import Header, open_sealed, seal
from sixfold.study import Context, Prediction, Row
from sixfold.systems.hospital.audit.log import AuditLog

__all__ = ["NUMBER_BYTES", "predicted_bytes", "predicted_wall"]

NUMBER_BYTES = 8  # a number of the ring 2^64
_EXCHANGES = {False: 1, True: 5}  # masked or not: a round trip with each hospital
_SITE_FILES = {False: 3, True: 4}  # that are on disk before an answer leaves: position, vector, what is kept, survivors
_COORDINATOR_FILES = 2  # a round: before it is asked for, and after it
_REPEATS = 9


def predicted_bytes(rounds: int, sites: int, down_numbers: int, up_numbers: int) -> float:
    """R K (down + up), each in numbers: models and vectors, without what signs and addresses them."""
    return float(
        federated_bytes(rounds, sites, NUMBER_BYTES, up_share=float(up_numbers), down_share=float(down_numbers))
    )


def predicted_wall(
    context: Context, baseline: Row, workers: int, *, rounds: int, sites: int, masked: bool, jobs: int = 1
) -> Prediction:
    """The time of `jobs` federations of so many rounds, one hospital after the other on one core.

    What one exchange and one file cost is rehearsed beforehand, on the disk of this run; the model is so small that
    computing is the baseline's time.
    """
    message_s, file_s = _message_s(context.work), _file_s(context.work)
    exchanges = jobs * sites * (rounds * _EXCHANGES[masked] + 1)  # and one for the offer
    files = jobs * rounds * (sites * _SITE_FILES[masked] + _COORDINATOR_FILES)
    terms = {"compute": jobs * baseline.wall_s, "exchanges": exchanges * message_s, "files": files * file_s}
    law = f"T = T(1) + {exchanges} exchanges of {message_s * 1e3:.2f} ms + {files} files of {file_s * 1e3:.2f} ms"
    return Prediction(workers, sum(terms.values()), law, terms)


def _message_s(folder: Path) -> float:
    """A request and its answer: sealed and opened twice, and what both parties log of it."""
    key = Ed25519PrivateKey.generate()
    keys = {"rehearsal": key.public_key()}
    log = AuditLog(folder / "rehearsal.jsonl", key, "rehearsal")
    header = Header("rehearsal", "rehearsal", "rehearsal", "rehearsal", 0, 0, 0)

    def once() -> None:
        for _ in range(2):
            open_sealed(seal(key, header, bytes(1000)), keys, "rehearsal", 10_000)
            log.append("rehearsal", {}, 0.0)

    return _median_s(once)


def _file_s(folder: Path) -> float:
    return _median_s(lambda: replace_bytes(folder / "rehearsal.bin", bytes(1000)))


def _median_s(once: Callable[[], None]) -> float:
    times = []
    for _ in range(_REPEATS):
        began_s = time.perf_counter()
        once()
        times.append(time.perf_counter() - began_s)
    return median(times)
