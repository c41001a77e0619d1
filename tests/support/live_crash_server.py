"""Change a live index in forked children that are killed at chosen moments; it is whole after every kill.

    python live_crash_server.py INDEX SEED ROUNDS

A child is killed by SIGKILL just before the n-th thing that it does to the file system (n is drawn), or after a
drawn time. Prints {"kills": ..., "published_and_killed": ..., "merges": ...}; a broken promise is an AssertionError.
"""

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import make_live as live

from sixfold.systems.rag.index.history import forget
from sixfold.systems.rag.index.manifest import read_manifest
from sixfold.systems.rag.live.compact import compact_step
from sixfold.systems.rag.live.compact_policy import CompactConfig
from sixfold.systems.rag.live.ledger import live_records

EAGER = CompactConfig(fan_in=2, dead_share=0.2)
MOST_EVENTS = 90  # a call has fewer, so that some of them are not killed
TOUCHES = {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.link", "os.truncate", "fcntl.flock"}


def kill_at(event_number: int) -> None:
    """Die by SIGKILL before the n-th change of the file system."""
    left = event_number

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if event in TOUCHES or (event == "open" and str(arguments[1]).strip("rbt")):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def run(work: Callable[[], object], draw: random.Random) -> bool:
    """Run it in a child; was the child killed?"""
    by_time = draw.random() < 0.3
    child = os.fork()
    if child == 0:
        try:
            if not by_time:
                kill_at(draw.randint(1, MOST_EVENTS))
            work()
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            os._exit(1)
        os._exit(0)
    if by_time:
        time.sleep(draw.uniform(0, 0.1))
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "a call failed"
    return os.WIFSIGNALED(status)


def main() -> None:
    index, draw, rounds = Path(sys.argv[1]), random.Random(int(sys.argv[2])), int(sys.argv[3])
    live.writer(index).upsert([live.page(live.url(n), n) for n in range(4)])
    expected = live.documents(index)
    kills = halfway = merges = 0
    for number in range(rounds):
        kind = draw.choice(["upsert", "upsert", "remove", "compact", "purge"])
        after = dict(expected)
        if kind == "upsert":
            pages = [(live.url(draw.randrange(6)), 10 * number + n + 10) for n in range(draw.randint(1, 3))]
            pages = list(dict(pages).items())
            after.update({url: live.text(n) for url, n in pages})
            work = lambda pages=pages: live.writer(index).upsert([live.page(*page) for page in pages])  # noqa: E731
        elif kind == "remove":
            url = live.url(draw.randrange(6))
            after.pop(url, None)
            work = lambda url=url: live.writer(index).remove(urls=[url])  # noqa: E731
        else:
            work = lambda purge=kind == "purge": compact_step(index, EAGER, purge=purge)  # noqa: E731
        before = read_manifest(index).generation
        killed = run(work, draw)
        published = read_manifest(index).generation > before
        kills += killed
        halfway += killed and published
        merges += published and kind in ("compact", "purge")
        expected = after if published else expected
        assert live.documents(index) == expected, f"round {number}: {kind}, killed={killed}, published={published}"
        for url in expected:
            assert live_records(index, url)[-1]["fate"] == "kept", url
    live.writer(index).upsert([live.page("http://last.test/", 7)])
    compact_step(index, EAGER, purge=True)
    forget(index, time.time(), 0)
    assert live.orphans(index) == []
    print(json.dumps({"kills": kills, "published_and_killed": halfway, "merges": merges}))


main()
