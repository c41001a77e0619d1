"""Claims: labelled by how they were made, half of them supported, and enough of each kind."""

from __future__ import annotations

from collections import Counter

from doc_pages import PAGES, SHAPES, page

from sixfold.systems.rag.labelled_claims import labelled_claims

LONG = [*PAGES, page("Python: drawing", SHAPES.replace("shape", "figure").replace("area", "plane") + "\n" + "\n".join(
    f"The step number {n} of drawing can be done before all {word} are read, or later if they are empty."
    for n, word in enumerate("lines points curves fills strokes corners".split(), start=3)  # noqa: SIM905
))]  # fmt: skip


def test_supported_claims_are_made_of_their_spans_and_the_others_are_not() -> None:
    claims = labelled_claims(LONG, seed=1, n=60)
    assert {claim.supported for claim in claims} == {True, False}
    assert len(set(claims)) == len(claims)
    for claim in claims:
        joined = " ".join(" ".join(claim.spans).split())
        if claim.how in ("verbatim", "cut"):
            assert claim.text.rstrip(".") in joined
        if not claim.supported:
            assert claim.text.rstrip(".") not in joined


def test_every_way_has_its_turn_and_the_seed_decides() -> None:
    claims = labelled_claims(LONG, seed=1, n=40)
    ways = Counter(claim.how for claim in claims)
    assert {"verbatim", "stated", "number", "negation", "opposite", "elsewhere", "wrong value"} <= set(ways)
    assert claims == labelled_claims(LONG[::-1], seed=1, n=40)
    assert labelled_claims([], seed=1, n=40) == []
