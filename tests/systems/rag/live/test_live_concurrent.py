"""Two writers, a compactor and readers at once: every reader sees one whole generation, and nothing is lost."""

import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sixfold.errors import ConfigError
from sixfold.systems.rag.index.history import forget
from sixfold.systems.rag.index.lock import COMPACTING, WRITING, alone
from sixfold.systems.rag.index.manifest import read_manifest
from sixfold.systems.rag.index.shard import Shard
from sixfold.systems.rag.live.compact import compact_step
from sixfold.systems.rag.live.compact_policy import CompactConfig

ROUNDS = 25


def test_nothing_is_lost_resurrected_or_orphaned_and_readers_see_one_generation(live, tmp_path):
    """Each writer changes its twins in one call: a reader that saw them differ would see two generations."""
    live.writer(tmp_path).upsert([live.page(f"http://stays.test/{n}", 900 + n) for n in range(3)])
    done, wrong = threading.Event(), []
    model = {f"http://stays.test/{n}": 900 + n for n in range(3)}
    seen: set[int] = set()

    def guarded(work):
        def run():
            try:
                work()
            except BaseException as error:
                wrong.append(error)
                done.set()

        return threading.Thread(target=run)

    def write(own: int) -> None:
        writer, draw = live.writer(tmp_path), random.Random(own)
        for number in range(ROUNDS):
            twins = [f"http://{side}.test/{own}" for side in ("left", "right")]
            if draw.random() < 0.2:
                writer.remove(urls=twins)
                for url in twins:
                    model.pop(url, None)
            else:
                text = 1_000 * own + 3 * number + draw.randrange(3)
                writer.upsert([live.page(url, text) for url in twins], allow_duplicates=True)
                model.update(dict.fromkeys(twins, text))

    def compact() -> None:
        config = CompactConfig(fan_in=2, dead_share=0.2)
        while not done.is_set():
            compact_step(tmp_path, config, purge=random.random() < 0.3)
            forget(tmp_path, time.time(), grace_s=2)

    def read() -> None:
        shards: list[Shard | None] = [None]
        while not done.is_set():
            manifest = read_manifest(tmp_path)
            shards = [Shard.open(tmp_path, 0, manifest, reuse=shards[0])]
            found = live.documents(tmp_path, manifest, shards)
            for own in (1, 2):
                assert found.get(f"http://left.test/{own}") == found.get(f"http://right.test/{own}")
            assert all(found[f"http://stays.test/{n}"] == live.text(900 + n) for n in range(3))
            seen.add(manifest.generation)

    writers = [guarded(lambda own=own: write(own)) for own in (1, 2)]
    others = [guarded(compact), guarded(read), guarded(read)]
    for thread in (*writers, *others):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    for thread in others:
        thread.join()
    assert wrong == []
    assert len(seen) > 5
    assert live.documents(tmp_path) == {url: live.text(n) for url, n in model.items()}
    while compact_step(tmp_path, purge=True):
        pass
    forget(tmp_path, time.time(), grace_s=0)
    assert live.orphans(tmp_path) == []
    assert live.tombstones(tmp_path) == 0


def test_a_build_and_a_writer_exclude_each_other(live, tmp_path):
    writer = live.writer(tmp_path, wait_s=0.05)
    with alone(tmp_path, WRITING), pytest.raises(ConfigError, match="another process writes to"):
        writer.upsert([live.page("http://a.test/", 1)])

    def build_meanwhile(texts):
        with pytest.raises(ConfigError), alone(tmp_path, WRITING):
            raise AssertionError("a build ran while documents were being written")
        return live.embed(texts)

    live.writer(tmp_path, embed=build_meanwhile).upsert([live.page("http://a.test/", 1)])
    with alone(tmp_path, COMPACTING), pytest.raises(ConfigError, match="another process compacts"):
        compact_step(tmp_path)


def test_a_lock_ends_with_its_process(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from sixfold.systems.rag.index.lock import alone\n"
        f"with alone(Path(sys.argv[1]), {WRITING!r}): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(ConfigError), alone(Path(tmp_path), WRITING):
            pass
        holder.kill()
    with alone(Path(tmp_path), WRITING, wait_s=5):
        pass
