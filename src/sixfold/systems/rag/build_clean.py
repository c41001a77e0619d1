"""Step one of a build: every record of a split becomes a document or a reason, journaled one by one."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path

from sixfold.errors import ConfigError
from sixfold.files import replace_json
from sixfold.systems.rag.build_folder import BuildFolder, BuildSettings
from sixfold.systems.rag.clean.cleaner import CONFIGS, Cleaner, CleanerConfig
from sixfold.systems.rag.clean.guard import PageGuard
from sixfold.systems.rag.journal import Journal
from sixfold.systems.rag.known_items import leading_sentence, strip_known_items
from sixfold.systems.rag.records import Document, Dropped, RawRecord
from sixfold.systems.rag.records_arrow import documents_to_table, dropped_to_table, write_part
from sixfold.systems.rag.sources import Split, read_split
from sixfold.systems.rag.takedown_rules import Blocklist, build_blocklist

__all__ = ["MOST_ATTEMPTS", "CleanJob", "CleanReport", "clean_split", "cleaner_config", "url_order"]

MOST_ATTEMPTS = 3  # at a page that ends its process without a word: a fault in C code, the kernel short of memory
PAGE_MEMORY_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class CleanJob:
    """One split to clean. `guarded`: this process may be ended by a page, another one goes on behind it."""

    build: Path
    part: int
    split: Split
    settings: BuildSettings
    guarded: bool


@dataclass(frozen=True, slots=True)
class CleanReport:
    """What became of a split."""

    part: int
    kept: int
    dropped: int
    text_bytes: int  # of the documents
    rework: int  # records begun more than once


def clean_split(job: CleanJob) -> CleanReport:
    """Clean one split, going on behind the last record that its journal has an outcome for.

    A guarded page past its deadline or memory is dropped by whoever goes on, and so is one at which
    `MOST_ATTEMPTS` processes died without a word: neither hangs the build nor ends it.
    """
    folder = BuildFolder(job.build)
    cleaner = _cleaner(job.settings)
    guard = PageGuard(
        folder.last_word(job.part), deadline_s=job.settings.page_deadline_s, memory_bytes=PAGE_MEMORY_BYTES
    )

    taken_down = Blocklist(build_blocklist(job.build))

    def clean(item: RawRecord | Dropped) -> Document | Dropped:
        if (rule := taken_down.rule_for(item.url)) is not None:
            return rule.dropped(item.url, item.source)
        if isinstance(item, Dropped):
            return item
        return guard.clean(cleaner, item) if job.guarded else cleaner.clean(item)

    with Journal(folder.journal(job.part)) as journal, guard if job.guarded else nullcontext():
        for item in read_split(job.split, after_offset=journal.last_position):
            position = job.split.position(item.source)
            fatal = _fatal(item, journal.attempts[position], guard) if job.guarded else None
            if fatal is None:
                journal.begin(position)
            journal.finish(position, fatal or clean(item))
        outcomes = list(journal.outcomes())
        kept = [outcome for outcome in outcomes if isinstance(outcome, Document)]
        dropped = [outcome for outcome in outcomes if isinstance(outcome, Dropped)]
        if job.settings.strip_known_items:
            kept = _strip(kept, folder.known_items(job.part))
        write_part(dropped_to_table(dropped, [url_order(d.url) for d in dropped]), folder.dropped(job.part))
        table = documents_to_table(kept, [url_order(d.url) for d in kept])
        write_part(table, folder.documents(job.part))
        report = CleanReport(
            part=job.part,
            kept=len(kept),
            dropped=len(dropped),
            text_bytes=sum(len(document.text.encode()) for document in kept),
            rework=journal.rework,
        )
    replace_json(folder.clean_report(job.part), asdict(report))  # last: says that the part is whole
    journal.path.unlink()
    return report


def url_order(url: str) -> int:
    """Where a document stands among all: shorter URLs first, then by a hash.

    Of several equal pages the first is kept. The order does not depend on when a page was crawled, or by whom.
    """
    digest = int.from_bytes(blake2b(url.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
    return (min(len(url), 2_047) << 52) | (digest >> 12)


def cleaner_config(settings: BuildSettings) -> CleanerConfig:
    """The cleaner that a build's settings ask for; ConfigError for a preset that does not exist."""
    if settings.preset not in CONFIGS:
        raise ConfigError(f"no preset {settings.preset!r}; there are {', '.join(CONFIGS)}")
    languages = None if settings.languages is None else frozenset(settings.languages)
    return replace(CONFIGS[settings.preset], languages=languages)


@lru_cache(maxsize=2)
def _cleaner(settings: BuildSettings) -> Cleaner:
    return Cleaner(cleaner_config(settings))


def _fatal(item: RawRecord | Dropped, attempts: int, guard: PageGuard) -> Dropped | None:
    """Why a record that ended its process is not tried again; None if it did not, or may be."""
    if attempts and guard.fault is not None:
        return Dropped(item.url, "extract", *guard.fault, item.source)
    if attempts >= MOST_ATTEMPTS:
        return Dropped(item.url, "extract", "crash", f"ended {attempts} processes", item.source)
    return None


def _strip(documents: list[Document], path: Path) -> list[Document]:
    """Take each page's leading sentence out of its text, and keep it beside: the evaluation asks for it."""
    asked = {d.url: sentence for d in documents if (sentence := leading_sentence(d.text)) is not None}
    replace_json(path, asked)
    return [
        replace(document, text=strip_known_items(document.text, [asked[document.url]]))
        if document.url in asked
        else document
        for document in documents
    ]
