"""What is to become of the pages of one call: added, replaced, unchanged, or dropped as what the index has already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sixfold.systems.rag.chunk import chunk_document
from sixfold.systems.rag.live.catalog import Catalog, Facts, content_of, shingles_of
from sixfold.systems.rag.live.receipts import Fate
from sixfold.systems.rag.records import Chunk, Document, Dropped, document_id
from sixfold.systems.rag.shingles import jaccard

__all__ = ["Kept", "Sifted", "sift"]

MOST_COMPARED = 8  # candidates for a near duplicate, as a build's representatives


@dataclass(frozen=True, slots=True)
class Kept:
    """A document that goes into the index, and the segments where an older version of it is live."""

    at: int  # in the call
    document: Document
    chunks: list[Chunk]
    facts: Facts  # [1]
    older: tuple[str, ...]

    @property
    def texts(self) -> list[str]:
        return [chunk.text for chunk in self.chunks]


@dataclass(frozen=True, slots=True)
class Sifted:
    """`fates` has None where a page is kept. outdated: documents whose new text is dropped, with their segments."""

    kept: list[Kept]
    fates: list[Fate | None]
    outdated: dict[str, tuple[str, ...]]
    urls: dict[str, str]  # of the outdated ones


def sift(
    outcomes: Sequence[Document | Dropped], catalog: Catalog, *, jaccard_threshold: float, allow_duplicates: bool
) -> Sifted:
    """Decide on the pages of a call, in their order; of several with one URL the last one counts.

    As in a build, a document is dropped if a live one, or an earlier one of the call, has the same words, or meets
    it in a band and has a Jaccard of at least the threshold with it. What the call replaces does not count as live.
    A page that is dropped by the rules of cleaning leaves an older version of it alone, as a build does.
    """
    fates: list[Fate | None] = [None] * len(outcomes)
    last = {outcome.doc_id: at for at, outcome in enumerate(outcomes) if isinstance(outcome, Document)}
    changed: list[Kept] = []
    for at, outcome in enumerate(outcomes):
        if isinstance(outcome, Dropped):
            fates[at] = Fate(
                outcome.url, document_id(outcome.url), "dropped", outcome.stage, outcome.reason, outcome.detail
            )
            continue
        if last[outcome.doc_id] != at:
            fates[at] = _dropped(outcome, "duplicate-url", "same-url", "a later page of the same call is kept")
            continue
        chunks = chunk_document(outcome)
        facts = content_of(outcome.doc_id, [chunk.text for chunk in chunks])
        older = tuple(catalog.segments_of(outcome.doc_id))
        if len(older) == 1 and catalog.has_content(older[0], outcome.doc_id, facts):
            (passage, *_), _ = catalog.passages(older[0], outcome.doc_id)
            if passage.title == outcome.title:
                fates[at] = Fate(outcome.url, outcome.doc_id, "unchanged", language=outcome.language)
                continue
        changed.append(Kept(at, outcome, chunks, facts, older))
    leaving = {one.document.doc_id for one in changed if one.older}
    kept: list[Kept] = []
    outdated, urls = {}, {}
    for one in changed:
        repeated = None if allow_duplicates else _repeats(one, kept, leaving, catalog, jaccard_threshold)
        if repeated is None:
            kept.append(one)
            continue
        document = one.document
        if one.older:
            outdated[document.doc_id], urls[document.doc_id] = one.older, document.url
            repeated = (*repeated[:2], f"{repeated[2]}; its older version is removed")
        fates[one.at] = _dropped(document, *repeated)
    return Sifted(kept, fates, outdated, urls)


def _repeats(
    one: Kept, kept: Sequence[Kept], leaving: set[str], catalog: Catalog, threshold: float
) -> tuple[str, str, str] | None:
    """(stage, reason, detail) of what a document repeats; None if it is new."""
    doc_id = one.document.doc_id
    for other in kept:
        if (other.facts["content"] == one.facts["content"]).all():
            return "exact-duplicate", "same-text", f"text of {other.document.url}"
    for segment, known in catalog.same_content(one.facts):
        if known not in leaving and known != doc_id:
            return "exact-duplicate", "same-text", f"text of {_url(catalog, segment, known)}"
    mine, compared = None, 0
    for other in kept:
        if one.facts["bands"].any() and (other.facts["bands"] == one.facts["bands"]).any():
            mine = shingles_of(one.texts) if mine is None else mine
            if (found := jaccard(mine, shingles_of(other.texts))) >= threshold:
                return "near-duplicate", "similar-text", f"jaccard {found:.4f} with {other.document.url}"
    for segment, known in catalog.in_a_band(one.facts):
        if known in leaving or known == doc_id:
            continue
        passages, _ = catalog.passages(segment, known)
        mine = shingles_of(one.texts) if mine is None else mine
        if (found := jaccard(mine, shingles_of(at.chunk.text for at in passages))) >= threshold:
            return "near-duplicate", "similar-text", f"jaccard {found:.4f} with {passages[0].url}"
        compared += 1
        if compared >= MOST_COMPARED:
            break
    return None


def _url(catalog: Catalog, segment: str, doc_id: str) -> str:
    (passage, *_), _ = catalog.passages(segment, doc_id)
    return passage.url


def _dropped(document: Document, stage: str, reason: str, detail: str) -> Fate:
    return Fate(document.url, document.doc_id, "dropped", stage, reason, detail, language=document.language)
