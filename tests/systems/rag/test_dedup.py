"""Deduplication: the stated rule by brute force, whatever the parts, partitions and order of execution."""

import random
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sixfold.errors import ConfigError, InputError
from sixfold.systems.rag.clean.minhash import band_hashes, signature
from sixfold.systems.rag.dedup import DedupConfig, deduplicate
from sixfold.systems.rag.duplicates import candidate_pairs
from sixfold.systems.rag.records import Document, Source, document_id
from sixfold.systems.rag.records_arrow import (
    document_order,
    documents_to_table,
    read_dropped,
    table_to_documents,
    write_part,
)

VOCABULARY = [f"word{i}" for i in range(500)]


def document(url: str, text: str, offset: int = 0) -> Document:
    return Document(document_id(url), url, "t", text, "en", Source("a.warc", offset, ""), signature(text))


def corpus(seed: int, n: int) -> list[Document]:
    """Families of a random text and edited copies of it, some of them exact, some URLs more than once."""
    rng = random.Random(seed)
    texts: list[list[str]] = []
    documents = []
    for i in range(n):
        if texts and rng.random() < 0.7:
            words = rng.choice(texts).copy()
            for at in rng.sample(range(len(words)), k=rng.choice([0, 0, 1, 1, 2, 3, 5, 9])):
                words[at] = rng.choice(VOCABULARY)
        else:
            words = rng.choices(VOCABULARY, k=rng.randint(40, 120))
        texts.append(words)
        url = f"http://h/{rng.randrange(i) if i and rng.random() < 0.15 else i}"
        documents.append(document(url, " ".join(words), i))
    return documents


def save(folder: Path, documents: list[Document], sizes: list[int]) -> list[Path]:
    paths, start = [], 0
    for i, size in enumerate([*sizes, len(documents)]):
        here = documents[start : start + size]
        path = folder / f"{i:03d}.parquet"
        write_part(documents_to_table(here, [document_order(i, k) for k in range(len(here))]), path)
        paths.append(path)
        start += size
    return paths


def run_words(text: str) -> set[tuple[str, ...]]:
    words = text.split()
    return {tuple(words[i : i + 5]) for i in range(max(1, len(words) - 4))}


def brute_force(published: list[Document], new: list[Document], config: DedupConfig):
    """The rule of docs/decisions/0008-dedup.md, one document after the other."""
    live = {d.doc_id: d for d in published}  # the last one of a URL
    first_new: dict[str, Document] = {}
    drops, superseded, considered = [], [], []
    for d in new:
        if d.doc_id in first_new:
            drops.append((d.url, d.source.offset, "duplicate-url", "a.warc"))
        else:
            first_new[d.doc_id] = d
    for d in live.values():
        if d.doc_id in first_new and first_new[d.doc_id].text != d.text:
            superseded.append(d.url)
    last = {id(d) for d in live.values()}
    considered = [(d, False) for d in published if id(d) in last and d.url not in superseded]
    considered += [(d, True) for d in new if first_new[d.doc_id] is d]
    by_text: dict[str, Document] = {}
    remaining = []
    for d, is_new in considered:
        if is_new and d.text in by_text:
            unchanged = d.doc_id in live and live[d.doc_id].text == d.text
            drops.append((d.url, d.source.offset, "exact-duplicate", d.url if unchanged else by_text[d.text].url))
            continue
        by_text.setdefault(d.text, d)
        remaining.append((d, is_new))
    buckets = defaultdict(list)
    for i, (d, _) in enumerate(remaining):
        for h in band_hashes(np.frombuffer(d.signature, "<u4")[None])[0].tolist():
            buckets[h].append(i)
    candidates = defaultdict(set)
    for members in buckets.values():
        for place, later in enumerate(members):
            candidates[later].update(members[: min(place, config.representatives)])
    for i, (d, is_new) in enumerate(remaining):
        for j in sorted(candidates[i]) if is_new else ():
            a, b = run_words(d.text), run_words(remaining[j][0].text)
            if len(a & b) / len(a | b) >= config.threshold:
                drops.append((d.url, d.source.offset, "near-duplicate", remaining[j][0].url))
                break
    return sorted(drops), sorted(superseded)


def outcome(result):
    dropped = read_dropped(result.drops)
    drops = sorted((d.url, d.source.offset, d.stage, kept_of(d.detail)) for d in dropped)
    assert sum(result.counts.values()) == len(drops)
    return drops, sorted(pq.read_table(result.superseded)["url"].to_pylist())


def kept_of(detail: str) -> str:
    return "a.warc" if "a.warc" in detail else detail.rsplit(" ", 1)[1]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 10_000),
    n_published=st.integers(0, 25),
    n_new=st.integers(1, 40),
    sizes=st.lists(st.integers(0, 15), max_size=3),
    n_partitions=st.integers(1, 7),
    representatives=st.sampled_from([1, 2, 8]),
    memory_bytes=st.sampled_from([1, 20_000, 1 << 28]),
)
def test_the_rule_holds_for_any_parts_partitions_and_memory(
    tmp_path_factory, seed, n_published, n_new, sizes, n_partitions, representatives, memory_bytes
):
    folder = tmp_path_factory.mktemp("d")
    documents = corpus(seed, n_published + n_new)
    published, new = documents[:n_published], documents[n_published:]
    config = DedupConfig(representatives=representatives, memory_bytes=memory_bytes)
    old = save(folder / "old", published, sizes) if published else []
    result = deduplicate(
        save(folder / "new", new, sizes), old, folder / "work", config=config, n_partitions=n_partitions
    )
    assert result.n_documents == n_new
    assert outcome(result) == brute_force(published, new, config)
    left = {p.name for p in (folder / "work").iterdir()}
    assert left == {"drops.parquet", "superseded.parquet"}


def test_the_outcome_is_the_same_file_for_any_workers_and_partitions(tmp_path):
    documents = corpus(5, 120)
    old, new = (
        save(tmp_path / "old", documents[:30], [10]),
        save(tmp_path / "new", documents[30:], [20, 0, 30]),
    )

    def backwards(function, numbers):
        listed = list(numbers)
        return [function(n) for n in reversed(listed)][::-1]

    with ThreadPoolExecutor(4) as pool:
        results = [
            deduplicate(new, old, tmp_path / "work" / str(i), map=run, n_partitions=p).drops.read_bytes()
            for i, (run, p) in enumerate([(map, 1), (backwards, 3), (pool.map, 16), (pool.map, None)])
        ]
    assert len(set(results)) == 1
    assert len(read_dropped(tmp_path / "work" / "0" / "drops.parquet")) > 20


def test_incremental_against_published(tmp_path):
    text = " ".join(VOCABULARY[:100])
    edited = text.replace("word50", "changed")
    published = [document("http://h/a", text), document("http://h/old", " ".join(VOCABULARY[200:300]))]
    new = [
        document("http://h/a", text, 1),  # unchanged
        document("http://h/b", text, 2),  # copied
        document("http://h/c", edited, 3),  # nearly copied
        document("http://h/old", "entirely new words on this page now", 4),  # changed: replaces the old one
        document("http://h/d", " ".join(VOCABULARY[200:300]), 5),  # what the old page said: kept now
        document("http://h/d", "the same address again", 6),
    ]
    result = deduplicate(save(tmp_path / "n", new, []), save(tmp_path / "p", published, []), tmp_path / "w")
    told = [(d.url, d.source.offset, d.stage, d.reason, d.detail) for d in read_dropped(result.drops)]
    jaccard = 91 / 101
    assert told == [
        ("http://h/a", 1, "exact-duplicate", "same-text", "text of http://h/a"),
        ("http://h/b", 2, "exact-duplicate", "same-text", "text of http://h/a"),
        ("http://h/c", 3, "near-duplicate", "similar-text", f"jaccard {jaccard:.4f} with http://h/a"),
        ("http://h/d", 6, "duplicate-url", "same-url", "the record at a.warc:5 is kept"),
    ]
    assert pq.read_table(result.superseded)["url"].to_pylist() == ["http://h/old"]
    assert result.counts == {"duplicate-url": 1, "exact-duplicate": 2, "near-duplicate": 1}


def test_a_page_on_every_site_costs_linear_pairs():
    n, k = 20_000, 8
    entries = pa.table(
        {
            "hash": np.zeros(n, np.uint64),
            "rank": np.random.default_rng(1).permutation(n).astype(np.int64),
            "part": np.zeros(n, np.int64),
            "row": np.arange(n),
        }
    )
    pairs = candidate_pairs(entries, k)
    assert len(pairs) == k * n - k * (k + 1) // 2
    assert set(pairs["kept_rank"].to_pylist()) == set(range(k))
    shuffled = entries.take(pa.array(np.random.default_rng(2).permutation(n)))
    assert candidate_pairs(shuffled, k).equals(pairs)


def test_short_and_wordless_texts(tmp_path):
    texts = ["", "...", "one", "One!", "one two", "two one", ""]
    new = [document(f"http://h/{i}", t, i) for i, t in enumerate(texts)]
    result = deduplicate(save(tmp_path / "n", new, [3, 4]), [], tmp_path / "w")
    told = [(d.url[-1], d.stage) for d in read_dropped(result.drops)]
    assert told == [("3", "near-duplicate"), ("6", "exact-duplicate")]


def test_what_is_not_a_part_is_named(tmp_path):
    good = save(tmp_path / "n", [document("u", "text")], [])
    bad = tmp_path / "bad.parquet"
    bad.write_bytes(b"PAR1 not really")
    with pytest.raises(InputError, match=r"bad\.parquet: not a part of documents"):
        deduplicate(good, [bad], tmp_path / "w")
    with pytest.raises(InputError, match=r"gone\.parquet: not a part"):
        deduplicate([tmp_path / "gone.parquet"], [], tmp_path / "w")
    pq.write_table(pa.table({"doc_id": ["x"]}), bad)
    with pytest.raises(InputError, match=r"bad\.parquet: not a part"):
        deduplicate([bad], [], tmp_path / "w")
    table = pq.read_table(good[0])
    column = table.schema.get_field_index("signature")
    short = table.set_column(column, "signature", pa.array([b"1234"], pa.binary()))
    write_part(short, bad)
    with pytest.raises(InputError, match=r"signatures of \[4\] bytes, expected 448"):
        deduplicate([bad], [], tmp_path / "w")
    with pytest.raises(ConfigError, match="threshold is 2"):
        DedupConfig(threshold=2)


def test_tables_give_documents_back(tmp_path):
    documents = [document("http://h/\ud800", "text"), document("http://h/b", "Grüße\n\n日本")]
    path = save(tmp_path, documents, [])[0]
    back = table_to_documents(pq.read_table(path))
    assert back[1] == documents[1]
    assert back[0].url == "http://h/\\ud800"
    again = tmp_path / "again.parquet"
    write_part(pq.read_table(path), again)
    assert again.read_bytes() == path.read_bytes()
