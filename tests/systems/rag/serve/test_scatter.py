"""Scatter: a shard that is late or dead is missing and named; a slow replica is helped by another one."""

import asyncio
from typing import Any

import pytest

from sixfold.errors import ConfigError
from sixfold.parts.hedging import Hedging
from sixfold.systems.rag.serve.coverage import Coverage, ShardState
from sixfold.systems.rag.serve.scatter import Calls, Gathered, Group, scatter


class Replica:
    """Answers after a delay, or fails; counts what it was asked and what was given up."""

    def __init__(self, name: str, delay_s: float = 0.0, error: Exception | None = None) -> None:
        self.name, self.delay_s, self.error = name, delay_s, error
        self.asked = self.given_up = 0

    async def call(self, generation: int, calls: Calls) -> Any:
        self.asked += 1
        try:
            await asyncio.sleep(self.delay_s)
        except asyncio.CancelledError:
            self.given_up += 1
            raise
        if self.error is not None:
            raise self.error
        return [self.name]


def ask(groups: dict[int, Group[Any]], wait_s: float = 5.0) -> Gathered:
    async def run() -> Gathered:
        return await scatter(groups, lambda shard, copy: copy.call(1, {}), wait_s=wait_s)

    return asyncio.run(run())


def eager() -> Hedging:
    hedging = Hedging()
    for _ in range(20):
        hedging.record(0.01)
    return hedging


def test_all_shards_answer() -> None:
    gathered = ask({n: Group([Replica(f"r{n}")]) for n in range(4)})
    assert gathered.results == {n: [f"r{n}"] for n in range(4)}
    assert not gathered.lost


def test_a_late_shard_is_missing_and_the_work_is_given_up() -> None:
    slow = Replica("slow", delay_s=30)
    gathered = ask({0: Group([Replica("fast")]), 1: Group([slow])}, wait_s=0.1)
    assert set(gathered.results) == {0}
    assert gathered.lost[1].state is ShardState.LATE
    assert slow.given_up == 1


def test_a_failed_replica_is_replaced_by_another_and_asked_last_for_a_while() -> None:
    broken, whole = Replica("broken", error=ConnectionError("secret 10.0.0.7")), Replica("whole")
    group = Group([broken, whole])
    assert [ask({0: group}).results[0] for _ in range(6)] == [["whole"]] * 6
    assert broken.asked == 1


def test_without_a_replica_left_the_reason_is_in_words_and_without_addresses() -> None:
    group = Group([Replica("a", error=ConnectionError("secret 10.0.0.7")), Replica("b", error=OSError("x"))])
    lost = ask({0: group}).lost[0]
    assert lost.state is ShardState.FAILED
    assert "10.0.0.7" not in lost.reason
    ours = Group([Replica("a", error=ConfigError("shard 3 is not here"))])
    assert ask({0: ours}).lost[0].reason == "shard 3 is not here"


def test_a_slow_replica_is_hedged_and_then_given_up() -> None:
    slow, fast = Replica("slow", delay_s=30), Replica("fast")
    group: Group[Any] = Group([slow, fast], eager())
    for _ in range(2):  # in turn, so that one of the two begins with the slow one
        assert ask({0: group}).results[0] == ["fast"]
    assert group.hedged == 1
    assert slow.given_up == 1


def test_a_single_replica_is_never_hedged() -> None:
    group: Group[Any] = Group([Replica("only", delay_s=0.05)], eager())
    assert ask({0: group}).results[0] == ["only"]
    assert group.hedged == 0


def test_one_who_stops_waiting_stops_the_work() -> None:
    slow = Replica("slow", delay_s=30)

    async def run() -> None:
        task = asyncio.create_task(scatter({0: Group([slow])}, lambda shard, copy: copy.call(1, {}), wait_s=60))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)

    asyncio.run(run())
    assert slow.given_up == 1


def test_coverage_counts_what_was_searched_and_says_what_was_not() -> None:
    sizes = {0: (100, 10), 1: (300, 30)}
    whole = Coverage.of(sizes, {})
    assert whole.percent == 100
    assert whole.whole
    partial = Coverage.of(sizes, {1: (ShardState.LATE, "no answer within 0.50 s")})
    assert partial.percent == 25
    assert not partial.whole
    assert (partial.passages, partial.passages_total, partial.documents) == (100, 400, 10)
    assert [shard.reason for shard in partial.shards] == [None, "no answer within 0.50 s"]
    assert Coverage.of({}, {}).percent == 100


def test_one_that_is_much_later_than_the_others_is_not_waited_for_to_the_deadline() -> None:
    groups: dict[int, Group[Any]] = {0: Group([Replica("fast")]), 1: Group([Replica("gone", delay_s=600)])}
    gathered = ask(groups, wait_s=300)
    assert set(gathered.results) == {0}
    assert gathered.lost[1].state is ShardState.LATE


def test_where_nobody_has_answered_there_is_nothing_to_be_impatient_about() -> None:
    assert ask({0: Group([Replica("slow", delay_s=1.3)]), 1: Group([Replica("slow", delay_s=1.3)])}).results.keys() == {
        0,
        1,
    }
