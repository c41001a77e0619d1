from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sixfold.systems.rag.crawl.frontier import Entry, Frontier, owner


def frontier(**changes: object) -> Frontier:
    options = {"lease_s": 10.0, "host_connections": 2, **changes}
    return Frontier(**options)  # type: ignore[arg-type]


def urls(host: str, count: int) -> list[str]:
    return [f"http://{host}/{number}" for number in range(count)]


def test_the_owner_is_fixed_and_spreads_the_hosts():
    # Pinned: another value would send the URLs of a resumed crawl to workers that do not know them.
    assert [owner(f"127.0.0.{n}", 4) for n in range(6)] == [0, 0, 2, 2, 3, 1]
    counts = Counter(owner(f"host-{n}.example", 4) for n in range(4_000))
    assert set(counts) == {0, 1, 2, 3}
    assert max(counts.values()) < 1.2 * min(counts.values())
    assert {owner(f"h{n}", 1) for n in range(50)} == {0}


def test_a_host_gives_its_rules_before_its_first_url():
    front = frontier()
    front.add(Entry("http://a/1"))
    lease = front.next(0.0)
    assert lease is not None
    assert lease.entry is None
    assert front.next(0.0) is None  # not before the rules are known
    front.host_known("a", 0.0)
    assert front.complete(lease.lease_id, 0.1)
    page = front.next(0.1)
    assert page is not None
    assert page.entry == Entry("http://a/1")
    assert not front.idle
    assert front.complete(page.lease_id, 0.2)
    assert front.idle


def test_an_expired_lease_returns_its_url_and_its_late_completion_counts_for_nothing():
    front = frontier(lease_s=10.0)
    front.add(Entry("http://a/1"))
    front.host_known("a", 0.0)
    first = front.next(0.0)
    assert first is not None
    assert front.expire(9.9) == []
    assert front.wait_s(4.0) == 6.0
    assert [lease.entry for lease in front.expire(10.0)] == [Entry("http://a/1")]
    again = front.next(10.0)
    assert again is not None
    assert again.entry == Entry("http://a/1")
    assert not front.is_live(first.lease_id)
    assert not front.complete(first.lease_id, 11.0)
    assert not front.retry(first.lease_id, 11.0, 1.0)
    assert front.complete(again.lease_id, 12.0)
    assert not front.complete(again.lease_id, 12.0)
    assert front.idle


def test_a_lost_robots_lease_is_handed_out_again():
    front = frontier()
    front.add(Entry("http://a/1"))
    assert front.next(0.0) is not None
    front.expire(10.0)
    lease = front.next(10.0)
    assert lease is not None
    assert lease.entry is None


def test_a_retry_comes_back_later_and_older():
    front = frontier()
    front.add(Entry("http://a/1"))
    front.host_known("a", 0.0)
    lease = front.next(0.0)
    assert lease is not None
    assert front.retry(lease.lease_id, 1.0, 5.0)
    assert front.next(5.9) is None
    assert not front.idle
    again = front.next(6.0)
    assert again is not None
    assert again.entry == Entry("http://a/1", tries=1)


def test_retry_after_holds_the_whole_host():
    front = frontier()
    front.host_known("a", 0.0)
    for url in urls("a", 3):
        front.add(Entry(url))
    lease = front.next(0.0)
    assert lease is not None
    front.defer("a", 30.0)
    front.complete(lease.lease_id, 1.0)
    assert front.next(29.0) is None
    assert front.next(30.0) is not None


def test_levels_hand_out_nothing_deeper_than_what_is_finished():
    front = frontier(level=0)
    front.host_known("a", 0.0)
    front.add(Entry("http://a/deep", depth=1))
    assert front.next(0.0) is None
    assert front.idle
    assert front.deeper == 1
    front.raise_level()
    assert front.next(0.0) is not None


def test_lending_keeps_half_and_only_hosts_without_a_delay():
    front = frontier()
    front.host_known("fast", 0.0)
    front.host_known("slow", 1.0)
    for host in ("fast", "slow"):
        for url in urls(host, 10):
            front.add(Entry(url))
    loans = front.lend(1, 0.0, 100)
    assert len(loans) == 10
    assert {lease.host for lease in loans} == {"fast"}
    assert front.lent == 10
    front.complete(loans[0].lease_id, 1.0)
    done = loans[1].entry
    assert done is not None
    front.reclaim(1, {done.url}, 2.0)  # the borrower died: one more page was in its journal
    assert front.lent == 0
    assert front.queued == 10 + 8


def test_a_dead_lenders_urls_are_forgotten():
    front = frontier()
    front.host_known("a", 0.0)
    front.add(Entry("http://a/1", loan=(3, 7)))
    front.add(Entry("http://a/2"))
    front.drop_loans(3)
    assert [entry.url for entry in front.waiting()] == ["http://a/2"]
    assert front.queued == 1


@settings(max_examples=60, deadline=None)
@given(
    delays=st.dictionaries(st.sampled_from("abcd"), st.sampled_from([0.0, 0.5, 2.0]), min_size=1),
    counts=st.integers(1, 12),
    durations=st.lists(st.floats(0.01, 3.0), min_size=1, max_size=20),
    fates=st.lists(st.sampled_from(["done", "retry", "lose"]), min_size=1, max_size=20),
)
def test_every_url_is_completed_once_and_no_host_is_hurried(delays, counts, durations, fates):
    front = frontier(lease_s=5.0)
    for host in delays:
        for url in urls(host, counts):
            front.add(Entry(url))
    now, step = 0.0, 0
    running: list[tuple[float, object]] = []
    completed: Counter[str] = Counter()
    ended: dict[str, float] = {}
    open_leases: Counter[str] = Counter()
    while not front.idle:
        for lease in front.expire(now):
            open_leases[lease.host] -= 1
            ended[lease.host] = now
        while (lease := front.next(now)) is not None:
            if lease.entry is not None:
                delay = delays[lease.host]
                assert open_leases[lease.host] < (2 if delay == 0 else 1)
                assert delay == 0 or now >= ended.get(lease.host, -9.0) + delay
            open_leases[lease.host] += 1
            step += 1
            running.append((now + durations[step % len(durations)], lease))
        due = [(end, lease) for end, lease in running if end <= now]
        running = [(end, lease) for end, lease in running if end > now]
        for _, lease in due:
            fate = fates[step % len(fates)] if step < 40 else "done"
            if fate == "lose" or not front.is_live(lease.lease_id):
                continue
            open_leases[lease.host] -= 1
            ended[lease.host] = now
            if lease.entry is None:
                front.host_known(lease.host, delays[lease.host])
                assert front.complete(lease.lease_id, now)
            elif fate == "retry":
                assert front.retry(lease.lease_id, now, 0.3)
            else:
                assert front.complete(lease.lease_id, now)
                completed[lease.entry.url] += 1
        now += 0.05
        assert now < 2_000
    assert completed == Counter({url: 1 for host in delays for url in urls(host, counts)})


def test_waiting_time_is_none_when_nothing_waits():
    assert frontier().wait_s(5.0) is None
    front = frontier()
    front.host_known("a", 2.0)
    front.add(Entry("http://a/1"))
    front.add(Entry("http://a/2"))
    lease = front.next(0.0)
    assert lease is not None
    front.complete(lease.lease_id, 1.0)
    assert front.wait_s(1.0) == pytest.approx(2.0)
