"""The line in front of a service: `parts.admission` with futures."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sixfold.errors import SixfoldError
from sixfold.parts.admission import Admission, Refusal, Ticket

__all__ = ["Gate", "OverloadedError"]


class OverloadedError(SixfoldError):
    """The request cannot be answered in time; `retry_after_s` says when one like it could be."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(
            f"overloaded: about {refusal.expected_wait_s:.1f} s of work are ahead; "
            f"try again in {max(1, round(refusal.retry_after_s))} s"
        )
        self.retry_after_s = refusal.retry_after_s


class Gate:
    """Lets `admission.concurrency` requests through at once; None lets everything through at once."""

    def __init__(self, admission: Admission | None) -> None:
        self.admission = admission
        self._calls: dict[int, asyncio.Future[bool]] = {}

    @asynccontextmanager
    async def pass_through(self, kind: str, budget_s: float) -> AsyncIterator[None]:
        """Wait for a turn; raises OverloadedError at once, or when the wait has used up the time."""
        if self.admission is None:
            yield
            return
        loop = asyncio.get_running_loop()
        ticket = self.admission.arrive(kind, loop.time(), budget_s)
        if isinstance(ticket, Refusal):
            raise OverloadedError(ticket)
        self._calls[ticket.number] = turn = loop.create_future()
        completed = False
        try:
            self._serve()
            if not await turn:
                raise OverloadedError(
                    Refusal(self.admission.service_s(kind), self.admission.expected_wait_s(loop.time()))
                )
            yield
            completed = True
        finally:
            self._calls.pop(ticket.number, None)
            self._leave(ticket, completed)

    def _leave(self, ticket: Ticket, completed: bool) -> None:
        assert self.admission is not None
        self.admission.finish(ticket, asyncio.get_running_loop().time(), completed=completed)
        self._serve()

    def _serve(self) -> None:
        assert self.admission is not None
        for ticket in self.admission.start(asyncio.get_running_loop().time()):
            turn = self._calls.get(ticket.number)
            if turn is not None and not turn.done():
                turn.set_result(ticket.started_s is not None)
