"""What a hospital must still know after a crash: where a job stands, its round's vector, whom it was summed with."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sixfold.errors import InputError, UserError
from sixfold.files import read_json, replace_bytes, replace_json
from sixfold.parts.array_codec import pack, unpack
from sixfold.systems.hospital.federation.contribution import Encoded
from sixfold.systems.hospital.train.algorithm import Arrays

__all__ = ["RoundRefused", "SiteState", "site_secret"]

_LIMIT_BYTES = 1 << 32  # of our own files


class RoundRefused(UserError):  # noqa: N818  an answer, not a mistake
    """A round was asked for again in a way that would tell more than its sum."""


@dataclass(frozen=True, slots=True)
class SiteState:
    """The durable part of one job at one hospital, in a folder of its own.

    A round's vector is kept until the next round: asked again, a hospital sends the same bits, so that nothing new is
    told and no privacy is spent twice. Of each round it signs one list of survivors, ever: two different sums over
    the same vectors would give away their difference.
    """

    folder: Path

    def position(self) -> tuple[int, int]:
        """The last (round, attempt) that was begun; (-1, -1) before the first."""
        path = self.folder / "position.json"
        if not path.exists():
            return (-1, -1)
        record = read_json(path)
        return int(record["round"]), int(record["attempt"])

    def begin(self, round_: int, attempt: int) -> None:
        """Write down that this attempt was begun; RoundRefused if it or a later one was begun before."""
        if (round_, attempt) <= self.position():
            at = "round {} attempt {}".format(*self.position())
            raise RoundRefused(f"got round {round_} attempt {attempt} after {at}: a replay is not answered")
        replace_json(self.folder / "position.json", {"round": round_, "attempt": attempt})

    def vector(self, round_: int, order: str) -> Encoded | None:
        """What was computed for this round, if it was; RoundRefused for an older round or another order."""
        record = self._round()
        if record is None or record["round"] < round_:
            return None
        if record["round"] > round_ or record["order"] != order:
            raise RoundRefused(f"round {round_} was computed for another order, or is over")
        return _encoded(record)

    def stands(self) -> tuple[int, tuple[str, ...]]:
        """The round whose vector is kept, -1 for none; with whom this hospital signed it to be summed, if it did."""
        record = self._round()
        return (-1, ()) if record is None else (record["round"], tuple(record["survivors"] or ()))

    def kept_vector(self) -> Encoded | None:
        """The vector that is kept, of whatever round."""
        record = self._round()
        return None if record is None else _encoded(record)

    def keep_vector(self, round_: int, order: str, encoded: Encoded) -> None:
        """Keep a round's vector before any of it leaves."""
        record = {
            "round": round_,
            "order": order,
            "values": encoded.values,
            "kept": dict(encoded.kept),
            "records": encoded.records,
            "late": encoded.late,
            "survivors": None,
        }
        replace_bytes(self.folder / "round.bin", pack(record))

    def agree(self, round_: int, survivors: Sequence[str]) -> None:
        """Write down whom this round is summed over; RoundRefused if it was another list before."""
        record = self._round()
        if record is None or record["round"] != round_:
            raise RoundRefused(f"round {round_} has no vector here")
        chosen = sorted(survivors)
        if record["survivors"] not in (None, chosen):
            raise RoundRefused(f"round {round_} was summed over other hospitals before: it cannot be summed again")
        replace_bytes(self.folder / "round.bin", pack({**record, "survivors": chosen}))

    def counted(self, round_: int) -> None:
        """The sum of this round was used: what training left at the hospital is taken over, once."""
        record = self._round()
        if record is not None and record["round"] == round_:
            replace_bytes(self.folder / "kept.bin", pack(record["kept"]))

    def kept(self) -> Arrays:
        """What training left here: control variates, a personal head; empty before the first round."""
        path = self.folder / "kept.bin"
        return unpack(path.read_bytes(), _LIMIT_BYTES) if path.exists() else {}

    def _round(self) -> dict[str, Any] | None:
        path = self.folder / "round.bin"
        if not path.exists():
            return None
        try:
            record: dict[str, Any] = unpack(path.read_bytes(), _LIMIT_BYTES)
        except InputError as error:
            raise InputError(str(error), path=path) from None
        return record


def _encoded(record: Mapping[str, Any]) -> Encoded:
    return Encoded(record["values"], record["kept"], record["records"], record["late"])


def site_secret(folder: Path) -> bytes:
    """The 32 bytes from which a hospital draws samples and noise; made at first need, readable by its owner only."""
    path = folder / "secret"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path.with_suffix(".new"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(32))
            file.flush()
            os.fsync(file.fileno())
        path.with_suffix(".new").replace(path)
    data = path.read_bytes()
    if len(data) != 32:
        raise InputError(f"got {len(data)} bytes, expected 32", path=path)
    return data
