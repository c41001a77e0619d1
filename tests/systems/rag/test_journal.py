"""A journal remembers every outcome that was written before the process died, and nothing that was torn."""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from sixfold.systems.rag.journal import Journal
from sixfold.systems.rag.records import Document, Dropped, Source, document_id

text = st.text(max_size=40)


@st.composite
def outcomes(draw: st.DrawFn) -> list[tuple[int, Document | Dropped]]:
    positions = sorted(draw(st.sets(st.integers(0, 10_000), max_size=8)))
    items: list[tuple[int, Document | Dropped]] = []
    for position in positions:
        source = Source("a.warc.gz", position, "sha1:X")
        url = f"http://x/{position}"
        if draw(st.booleans()):
            signature = draw(st.binary(max_size=16))
            items.append((position, Document(document_id(url), url, draw(text), draw(text), "en", source, signature)))
        else:
            items.append((position, Dropped(url, "language", "score", draw(text), source)))
    return items


@settings(max_examples=60, deadline=None)
@given(outcomes(), st.integers(0, 2_000), st.data())
def test_what_was_whole_survives_a_cut_anywhere(tmp_path_factory, items, cut, data) -> None:
    path: Path = tmp_path_factory.mktemp("journal") / "j.jsonl"
    ends = [0]
    with Journal(path) as journal:
        for position, outcome in items:
            journal.begin(position)
            journal.finish(position, outcome)
            ends.append(path.stat().st_size)
    size = path.stat().st_size
    cut = min(cut, size)
    with path.open("r+b") as file:
        file.truncate(cut)
    whole = sum(1 for end in ends[1:] if end <= cut)
    with Journal(path) as journal:
        assert list(journal.outcomes()) == [outcome for _, outcome in items[:whole]]
        assert journal.finished == {position for position, _ in items[:whole]}
        assert journal.rework in (0, 1)
        for position, outcome in items[whole:]:
            journal.begin(position)
            journal.finish(position, outcome)
        assert list(journal.outcomes()) == [outcome for _, outcome in items]


def test_a_record_that_was_begun_and_lost_counts_as_rework(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    with Journal(path) as journal:
        journal.begin(5)
    with Journal(path) as journal:
        assert journal.last_position == -1
        journal.begin(5)
        journal.finish(5, Dropped("http://x/", "read", "binary", "", Source("f", 5, "sha1:X")))
        assert journal.rework == 1
        assert journal.last_position == 5
