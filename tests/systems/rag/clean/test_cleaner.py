"""The cleaner: its order of steps, its reasons, and that no bytes make it raise."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sixfold.errors import ConfigError
from sixfold.systems.rag.clean.cleaner import CONFIGS, Cleaner, CleanerConfig
from sixfold.systems.rag.clean.extract import Extraction
from sixfold.systems.rag.clean.minhash import signature
from sixfold.systems.rag.clean.presets import DOCUMENTATION
from sixfold.systems.rag.records import Document, Dropped, Kind, RawRecord, Source, document_id

PROSE = (
    "The harbour master kept a careful record of every vessel that came in before the storm. "
    "Most of them were small fishing boats with worn sails, and a few carried timber to the mills. "
    "When the wind turned, people gathered on the quay to watch the last ships fight their way home. ",
    "Nobody spoke of what had happened the year before, though all of them must have thought of it. "
    "By nightfall the lamps were lit along the wall, and the water had risen to the third step. "
    "It took until morning for the swell to settle, and only then did the captain count his crew. ",
    "The owners asked for damages, which the council refused, and the matter went before a judge. "
    "He found that nobody was to blame for the weather, but that the wall should have been higher. "
    "Write to harbour@example.org with what you remember of that night, whatever it may have been.",
    "A second wall was built the following spring, and it has held against every storm since then.",
    "Visitors still ask about the ships, and the museum keeps a list of those that never came home.",
)
PAGE = f"<html><head><title>The harbour</title></head><body><article>{''.join(f'<p>{p}</p>' for p in PROSE)}"
SOURCE = Source("a.warc", 7, "sha1:X")


def record(payload: bytes, kind: Kind = Kind.HTML, charset: str | None = None) -> RawRecord:
    return RawRecord("http://h/a", payload, kind, charset, SOURCE)


def test_a_page_becomes_a_document():
    got = Cleaner().clean(record(PAGE.encode()))
    assert isinstance(got, Document)
    assert (got.doc_id, got.url, got.title, got.language) == (
        document_id("http://h/a"),
        "http://h/a",
        "The harbour",
        "en",
    )
    assert got.text.startswith("The harbour master")
    assert "Write to [EMAIL] with" in got.text
    assert (got.source, got.signature) == (SOURCE, signature(got.text))
    assert Cleaner(CleanerConfig(scrub_pii=False)).clean(record(PAGE.encode())).text.count("harbour@example.org") == 1


def test_text_and_markdown_keep_their_words_and_have_titles():
    body = "\r\n\r\n\r\n\r\n".join(PROSE).replace("storm", "sto\x00rm")
    markdown = Cleaner().clean(record(f"# The   harbour\n\n{body}".encode(), Kind.MARKDOWN))
    assert markdown.title == "The harbour"
    text = Cleaner().clean(record(body.encode("utf-16"), Kind.TEXT, "utf-16"))
    assert text.title.startswith("The harbour master")
    assert "storm" in text.text
    assert "\r" not in text.text


def explode(html: str) -> Extraction:
    raise RecursionError("too deep")


@pytest.mark.parametrize(
    ("payload", "changes", "stage", "reason"),
    [
        (PAGE, {"max_payload_bytes": 100}, "size", "too-large"),
        (b"\xef\xbb\xbf" + b"\xff" * 50, {}, "charset", "undecodable"),
        ("", {}, "extract", "no-text"),
        ("<p> \x00 </p>", {}, "extract", "no-text"),
        (PAGE, {"extractor": explode}, "extract", "error"),
        (PAGE, {"languages": frozenset({"de"})}, "language", "unwanted-language"),
        (PAGE, {"min_language_score": 1.0}, "language", "uncertain-language"),
        (f"<p>{PROSE[3]}</p><p>{PROSE[4]}</p>", {}, "gopher-quality", "too-few-words"),
    ],
)
def test_reasons(payload, changes, stage, reason):
    config = replace(CleanerConfig(), **changes)
    got = Cleaner(config).clean(record(payload if isinstance(payload, bytes) else payload.encode()))
    assert isinstance(got, Dropped)
    assert (got.stage, got.reason, got.source, got.url) == (stage, reason, SOURCE, "http://h/a")
    assert got.detail


def test_the_documentation_configuration_keeps_a_reference_page():
    page = "<h1>basket</h1>" + "".join(
        f"<p>basket.{name}(self, items=(), *, limit=None) -> dict</p><p>{what}</p>"
        for name, what in [
            ("add", "Put {items} into the basket; raises ValueError beyond the limit."),
            ("total", "Return the cost of the things with their counts."),
            ("clear", "Take out all of them."),
        ]
    )
    assert isinstance(Cleaner(CONFIGS["web"]).clean(record(page.encode())), Dropped)
    assert isinstance(Cleaner(CONFIGS["documentation"]).clean(record(page.encode())), Document)


def test_bad_configurations_are_refused():
    with pytest.raises(ConfigError, match="max_payload_bytes is 0"):
        CleanerConfig(max_payload_bytes=0)
    with pytest.raises(ConfigError, match="min_language_score is 2"):
        CleanerConfig(min_language_score=2)


@settings(max_examples=150, deadline=None)
@given(
    payload=st.one_of(
        st.binary(max_size=2_000),
        st.text(max_size=1_000).map(lambda t: t.encode("utf-8", "replace")),
        st.lists(
            st.sampled_from(["<p>", "</", "<!--", "<div>", "&#0;", PROSE[0], "<table>", "\x00", "\ud800"]),
            max_size=40,
        ).map(lambda parts: "".join(parts).encode("utf-8", "surrogatepass")),
    ),
    kind=st.sampled_from(Kind),
    charset=st.sampled_from([None, "utf-8", "utf-16", "shift_jis", "hex", "nonsense", ""]),
)
def test_no_bytes_make_it_raise(payload, kind, charset):
    for config in (
        CleanerConfig(),
        CleanerConfig(filters=(), languages=None),
        CleanerConfig(filters=DOCUMENTATION, languages=None),
    ):
        got = Cleaner(config).clean(record(payload, kind, charset))
        if isinstance(got, Document):
            assert got.text == got.text.strip() != ""
            got.text.encode("utf-8")
            got.title.encode("utf-8")
