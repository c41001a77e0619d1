"""What a federation in one process should cost: messages, signatures and files that must be on disk; bytes by law."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sixfold.design.laws.federated import federated_bytes, secure_aggregation
from sixfold.files import replace_bytes
from sixfold.parts.signed_message import Header, open_sealed, seal
from sixfold.study import Context, Prediction, Row
from sixfold.systems.hospital.audit.log import AuditLog, valid_head

__all__ = ["NUMBER_BYTES", "predicted_bytes", "predicted_wall"]

NUMBER_BYTES = 8  # a number of the ring 2^64
_VALUES = 14  # of the ladder's model: masks of so few cost next to nothing, key agreement costs all
_EXCHANGES = {False: 1, True: 5}  # masked or not: a round trip with each hospital
_SITE_FILES = {False: 3, True: 4}  # that are on disk before an answer leaves: position, vector, what is kept, survivors
_SITE_ENTRIES = {False: 1, True: 2}  # in its log, beside the heads of all other parties: what left, and unmasking
_HEADS = {
    False: 1,
    True: 3,
}  # of each hospital that the coordinator writes down: one an answer that logged something
_COORDINATOR_FILES = 2  # a round: before it is asked for, and after it
_REPEATS = 15


def predicted_bytes(rounds: int, sites: int, down_numbers: int, up_numbers: int) -> float:
    """R K (down + up), each in numbers: models and vectors, without what signs and addresses them."""
    return float(
        federated_bytes(rounds, sites, NUMBER_BYTES, up_share=float(up_numbers), down_share=float(down_numbers))
    )


def predicted_wall(
    context: Context, baseline: Row, workers: int, *, rounds: int, sites: int, masked: bool, jobs: int = 1
) -> Prediction:
    """The time of `jobs` federations of so many rounds, one hospital after the other on one core.

    What a message, an entry of a log and a file cost is rehearsed beforehand, on the disk of this run; what masks cost
    is the law of secure aggregation; the model is so small that computing is the baseline's time.
    """
    with tempfile.TemporaryDirectory(dir=context.work) as folder:
        message_s, entry_s, sync_s, file_s = _rehearsed(Path(folder))
    exchanges = jobs * sites * (rounds * _EXCHANGES[masked] + 1)  # and one for the offer
    entries = jobs * rounds * (sites * (sites + _SITE_ENTRIES[masked] + _HEADS[masked]) + 1)
    syncs = jobs * rounds * (sites * _HEADS[masked] + 1)
    files = jobs * rounds * (sites * _SITE_FILES[masked] + _COORDINATOR_FILES)
    masks = secure_aggregation(sites, _VALUES, value_bits=8 * NUMBER_BYTES)
    terms = {
        "compute": jobs * baseline.wall_s,
        "exchanges": exchanges * message_s,
        "logs": entries * entry_s + syncs * sync_s,
        "files": files * file_s,
        "masks": jobs * rounds * (sites * float(masks.client_s) + float(masks.server_s)) if masked else 0.0,
    }
    law = (
        f"T = T(1) + {exchanges} exchanges of {message_s * 1e3:.2f} ms + {entries} entries of {entry_s * 1e3:.2f} ms "
        f"+ {syncs} logs on disk of {sync_s * 1e3:.2f} ms + {files} files of {file_s * 1e3:.2f} ms"
        + (" + masks of " + str(rounds) + " rounds" if masked else "")
    )
    return Prediction(workers, sum(terms.values()), law, terms)


def _rehearsed(folder: Path) -> tuple[float, float, float, float]:
    """Seconds of: a request and its answer, signed and checked; an entry with its check; a log, a file put on disk."""
    key = Ed25519PrivateKey.generate()
    keys = {"rehearsal": key.public_key()}
    log = AuditLog(folder / "rehearsal.jsonl", key, "rehearsal")
    header = Header("rehearsal", "rehearsal", "rehearsal", "rehearsal", 0, 0, 0)

    def message() -> None:
        for _ in range(2):
            open_sealed(seal(key, header, bytes(1000)), keys, "rehearsal", 10_000)

    def append() -> None:
        log.append("rehearsal", {}, 0.0)

    append()
    head = log.signed_head()

    def entry() -> None:
        append()
        valid_head("rehearsal", head, keys)

    return (
        _median_s(message),
        _median_s(entry),
        _median_s(log.sync, before=append),
        _median_s(lambda: replace_bytes(folder / "rehearsal.bin", bytes(1000))),
    )


def _median_s(once: Callable[[], None], before: Callable[[], None] = lambda: None) -> float:
    times = []
    for _ in range(_REPEATS):
        before()
        began_s = time.perf_counter()
        once()
        times.append(time.perf_counter() - began_s)
    return median(times)
