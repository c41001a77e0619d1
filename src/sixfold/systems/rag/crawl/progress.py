"""The live line of a crawl."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sixfold.systems.rag.crawl.exchange import Status

__all__ = ["crawl_progress"]


@contextmanager
def crawl_progress(enabled: bool, *, done: int) -> Iterator[Callable[[Sequence[Status]], None]]:
    """Give a function that shows the workers' states on stderr; `done` pages were there before."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    text = "crawling: {task.fields[pages]} pages, {task.fields[queued]} URLs waiting"
    columns = (SpinnerColumn(), TextColumn(text), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not enabled, transient=True) as bar:
        task = bar.add_task("crawl", total=None, pages=done, queued=0)

        def show(states: Sequence[Status]) -> None:
            pages = done + sum(s.pages for s in states)
            bar.update(task, pages=pages, queued=sum(s.queued + s.deeper for s in states))

        yield show
