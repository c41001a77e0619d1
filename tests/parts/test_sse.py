"""Events are the same however their bytes were cut, and an event without an end does not fill the memory."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.errors import ConfigError
from sixfold.parts.sse import EventTooLargeError, SseReader

STREAM = (
    ": a comment\r\nevent: message\r\ndata: one\r\n\r\n"
    "data:two\ndata: lines\n\n\n"
    'id: 7\rdata: {"é": "漢字"}\r\r'
    "data\n\nretry: 5\n\n"
    "data: not ended"
).encode()
EVENTS = ["one", "two\nlines", '{"é": "漢字"}', ""]


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_events_do_not_depend_on_the_cuts(cuts):
    reader, found = SseReader(), []
    places = [0, *sorted(cuts), len(STREAM)]
    for start, end in pairwise(places):
        found += reader.feed(STREAM[start:end])
    assert found == EVENTS


def test_bytes_that_are_no_text_are_replaced():
    assert SseReader().feed(b"data: \xff\n\n") == ["�"]


@pytest.mark.parametrize("endless", [b"data: " + b"x" * 100, b"data: 0123456789\n", b"x"])
def test_an_event_without_an_end_is_refused(endless):
    reader = SseReader(most_bytes=1_000)

    def feed_on():
        for _ in range(2_000):
            reader.feed(endless)

    with pytest.raises(EventTooLargeError):
        feed_on()


def test_bad_bound():
    with pytest.raises(ConfigError):
        SseReader(0)
