"""The one process of a fleet that changes the index: it takes documents in, takes them down, and merges segments."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

from sixfold.errors import ConfigError, SixfoldError
from sixfold.systems.rag.index.history import forget
from sixfold.systems.rag.live.compact import compact_step
from sixfold.systems.rag.live.pages import page_of
from sixfold.systems.rag.live.writer import Writer
from sixfold.systems.rag.takedown import takedown

__all__ = ["WriterReplica"]

_NICENESS = 5  # behind the questions, before the language model
_COMPACT_EVERY_S = 5.0


class WriterReplica:
    """Writes one index. `share`: of one core that taking documents in and merging segments may have."""

    def __init__(self, index: str, share: float, crawls: tuple[str, ...] = ()) -> None:
        if not 0 < share <= 1:
            raise ConfigError(f"got ingest_share={share}, expected above 0 and up to 1")
        os.nice(_NICENESS)
        self._index, self._share, self._crawls = Path(index), share, crawls
        self._turn = threading.Lock()  # one call at a time: the others wait here and not on the index's lock
        self._writer = Writer(index)
        self._stop = threading.Event()
        threading.Thread(target=self._warm_up_and_compact, daemon=True).start()

    def upsert(self, documents: list[dict[str, Any]]) -> dict[str, Any]:
        """Take documents in; the receipt names the generation that shows them. Raises InputError naming the field."""
        pages = [page_of({key: value for key, value in fields.items() if value is not None}) for fields in documents]
        with self._turn:
            began_s = time.perf_counter()
            receipt = self._writer.upsert(pages)
            took_s = time.perf_counter() - began_s
        self._rest(took_s)
        return receipt.as_json()

    def takedown(self, rule: dict[str, str | None], reason: str) -> dict[str, Any]:
        """Take down what a URL, a host or a pattern names, everywhere; the receipt says where it was."""
        with self._turn:
            receipt = takedown(
                self._index,
                url=rule["url"],
                host=rule["host"],
                pattern=rule["pattern"],
                crawls=self._crawls,
                reason=reason,
            )
        answer: dict[str, Any] = receipt.as_json()
        return answer

    def pid(self) -> int:
        """The process, for those who end it on purpose."""
        return os.getpid()

    def _rest(self, worked_s: float) -> None:
        # The answer to the caller has been decided, but the next call waits: that is what keeps the share.
        if self._share < 1:
            self._turn.acquire()
            threading.Timer(worked_s * (1 / self._share - 1), self._turn.release).start()

    def _warm_up_and_compact(self) -> None:
        from sixfold.systems.rag.build_embed import embedder

        embedder().embed(["warm up"])
        while not self._stop.wait(_COMPACT_EVERY_S):
            try:
                while compact_step(self._index, share=self._share) is not None:
                    pass
                forget(self._index, time.time())
            except (SixfoldError, OSError):  # a build has the index, or the disk is full: later, then
                continue
