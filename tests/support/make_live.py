"""Live indexes for tests: real files, locks and cleaning; vectors are a hash of the text, since they are not tested."""

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np

from sixfold.systems.rag.clean.cleaner import Cleaner, CleanerConfig
from sixfold.systems.rag.index.manifest import Manifest, read_manifest, read_tombstones
from sixfold.systems.rag.index.segment_reader import SegmentReader
from sixfold.systems.rag.index.shard import Shard
from sixfold.systems.rag.live.pages import Page
from sixfold.systems.rag.live.writer import Writer
from sixfold.systems.rag.records import Kind, document_id

D = 8
ANYTHING = CleanerConfig(filters=(), languages=None, scrub_pii=False)
LONG, SHORT = 450, 30  # words: three passages, one passage


def embed(texts: Sequence[str]) -> np.ndarray:
    """A hash of each text, of unit length."""
    rows = [np.frombuffer(blake2b(text.encode(), digest_size=D).digest(), np.uint8) for text in texts]
    vectors = np.array(rows, dtype=np.float32).reshape(-1, D) + np.float32(1)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def writer(index: Path, **options) -> Writer:
    """A writer that keeps every text."""
    return Writer(index, **{"embed": embed, "cleaner": Cleaner(ANYTHING), **options})


def text(number: int) -> str:
    """Text `number`: no two are alike; every third is long."""
    draw = random.Random(number)
    words = [f"w{draw.randrange(10**6)}" for _ in range(LONG if number % 3 == 0 else SHORT)]
    return " ".join([f"unique{number}", *words])


def page(url: str, number: int) -> Page:
    """A page of text `number`."""
    return Page(url, text(number).encode(), Kind.TEXT)


def url(number: int) -> str:
    """One of a few addresses on three hosts."""
    return f"http://host{number % 3}.test/{number}"


def documents(index: Path, manifest: Manifest | None = None, shards: Iterable[Shard] | None = None) -> dict[str, str]:
    """URL -> text of everything that is live in a generation, after looking at all that could be wrong with it.

    shards: that are open; those of the generation are opened without them. A document is in one segment, whole, and
    found by its words and by its vector.
    """
    manifest = manifest or read_manifest(index)
    opened = list(shards) if shards is not None else open_shards(index, manifest)
    parts: dict[str, dict[int, str]] = {}
    urls: dict[str, str] = {}
    for shard in opened:
        for segment, live in shard._segments:
            positions = range(len(segment)) if live is None else np.flatnonzero(live).tolist()
            for at in segment.read(positions):
                key, ordinal = at.chunk.doc_id, at.chunk.ordinal
                assert ordinal not in parts.setdefault(key, {}), f"passage {ordinal} of {at.url} is live twice"
                parts[key][ordinal] = at.chunk.text
                urls[key] = at.url
                assert key == document_id(at.url)
                assert shard.passages([at.chunk.chunk_id])[at.chunk.chunk_id].chunk == at.chunk
    found = {}
    for key, by_ordinal in parts.items():
        assert sorted(by_ordinal) == list(range(len(by_ordinal))), f"{urls[key]} lacks passages"
        found[urls[key]] = " ".join(by_ordinal[at] for at in sorted(by_ordinal))
    words = Counter(whole.split()[0] for whole in found.values())
    for word, count in words.items():
        assert sum(len(hits(shard, word)) for shard in opened) == count, f"{word} is not found as often as it is there"
    for by_ordinal in parts.values():
        (scores,) = [best(opened, by_ordinal[0])]
        assert abs(scores - 1) < 1e-5, "a passage is not found by its vector"
    assert sum(shard.documents for shard in opened) == len(found)
    assert sum(shard.chunks for shard in opened) == sum(map(len, parts.values()))
    return found


def open_shards(index: Path, manifest: Manifest) -> list[Shard]:
    return [Shard.open(index, number, manifest) for number in range(len(manifest.shards))]


def hits(shard: Shard, word: str) -> list[tuple[str, float]]:
    return shard.lexical([word], shard.statistics([word]), 50)


def best(shards: Iterable[Shard], passage: str) -> float:
    return max(float(shard.vector(embed([passage]), 1)[0][0, 0]) for shard in shards if shard.chunks)


def orphans(index: Path) -> list[str]:
    """Files of segments and tombstones that no generation names."""
    named = set()
    manifests = [index / "manifest.json", *(index / "generations").glob("*.json")]
    from sixfold.systems.rag.index.manifest import manifest_at

    for manifest in map(manifest_at, manifests):
        named |= {*manifest.segments, *manifest.tombstones.values()}
    there = [*(index / "segments").glob("*"), *(index / "tombstones").glob("*")]
    return sorted(path.name for path in there if path.name not in named)


def stored_passages(index: Path) -> int:
    """Passages on the disk, deleted ones included."""
    names = read_manifest(index).segments
    return sum(len(SegmentReader.open(index / "segments" / name)) for name in names)


def tombstones(index: Path) -> int:
    """Deleted documents that the newest generation still has to remember."""
    manifest = read_manifest(index)
    return sum(len(read_tombstones(index, manifest, name).documents) for name in manifest.segments)
