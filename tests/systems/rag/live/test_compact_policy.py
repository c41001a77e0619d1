"""Merging comes to an end, does bounded work at a step, and leaves few segments and little that is deleted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.errors import ConfigError
from sixfold.systems.rag.live.compact_policy import CompactConfig, SegmentState, segments_to_merge

CONFIG = CompactConfig(fan_in=4, floor_bytes=100, dead_share=0.3, most_bytes=10_000)


def segment(name: str, passages: int, live: int | None = None, tombstones: bool = False) -> SegmentState:
    live = passages if live is None else live
    return SegmentState(name, passages, live, 10 * passages, tombstones or live < passages)


@st.composite
def shards(draw):
    states = []
    for number in range(draw(st.integers(0, 12))):
        passages = draw(st.sampled_from([1, 3, 10, 60, 400, 3_000]))
        live = draw(st.one_of(st.just(passages), st.integers(0, passages)))
        states.append(segment(f"s{number:02d}", passages, live))
    return states


def merged(states, chosen, step):
    """What the shard is after a merge."""
    live = sum(s.live for s in states if s.name in chosen)
    left = [s for s in states if s.name not in chosen]
    return left + ([segment(f"m{step:03d}", live)] if live else [])


@given(shards(), st.booleans())
def test_merging_ends_and_nothing_live_is_lost(states, purge):
    live = sum(s.live for s in states)
    for step in range(100):
        chosen = segments_to_merge(states, CONFIG, purge=purge)
        if not chosen:
            break
        assert len(set(chosen)) == len(chosen)
        assert set(chosen) <= {s.name for s in states}
        work = sum(s.live_bytes for s in states if s.name in chosen)
        assert len(chosen) == 1 or work <= CONFIG.most_bytes
        states = merged(states, chosen, step)
    else:
        raise AssertionError("it merges for ever")
    assert sum(s.live for s in states) == live
    assert all(s.live for s in states)
    if purge:
        assert not any(s.tombstones for s in states)
    else:
        assert all(1 - s.live / s.passages < CONFIG.dead_share for s in states)
        small = [s for s in states if s.live_bytes < CONFIG.floor_bytes]
        assert len(small) < CONFIG.fan_in


def test_which_segments_are_merged():
    four = [segment(f"s{n}", 5) for n in range(4)]
    assert segments_to_merge(four[:3], CONFIG) == []
    assert sorted(segments_to_merge([*four, segment("large", 500)], CONFIG)) == ["s0", "s1", "s2", "s3"]
    assert segments_to_merge([segment("a", 100, 71), segment("b", 100, 70)], CONFIG) == ["b"]
    assert segments_to_merge([segment("a", 100, 99), segment("b", 100)], CONFIG, purge=True) == ["a"]
    assert segments_to_merge([segment("a", 100, 0), *four], CONFIG) == ["a"]
    assert segments_to_merge([], CONFIG) == []
    assert segments_to_merge([segment("a", 9, tombstones=True)], CONFIG, purge=True) == ["a"]  # whatever they are of


@pytest.mark.parametrize(
    "wrong", [{"fan_in": 1}, {"floor_bytes": 0}, {"most_bytes": 0}, {"dead_share": 0}, {"dead_share": 1.1}]
)
def test_settings_out_of_their_range(wrong):
    with pytest.raises(ConfigError):
        CompactConfig(**wrong)
