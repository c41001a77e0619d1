"""What an index consists of, for people: shards, hosts, languages. Read from its files, once a generation."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sixfold.errors import SixfoldError
from sixfold.systems.rag.serve.generations import Generation

__all__ = ["index_facts"]

_MOST_HOSTS = 50


def index_facts(index: Path, generation: Generation) -> dict[str, Any]:
    """Shards with what they hold, and the most frequent hosts and languages (deleted passages not subtracted)."""
    hosts: Counter[str] = Counter()
    languages: Counter[str] = Counter()
    shards = []
    for number, names in enumerate(generation.manifest.shards):
        size = 0
        for name in names:
            folder = index / "segments" / name
            try:
                table = pq.read_table(folder / "chunks.parquet", columns=["host", "language"])
                size += sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            except (OSError, pa.ArrowException, SixfoldError):  # it will be missing from answers, and they say so
                continue
            for counts, column in ((hosts, "host"), (languages, "language")):
                counts.update({row["values"]: row["counts"] for row in table[column].value_counts().to_pylist()})
        passages, documents = generation.sizes.get(number, (0, 0))
        shards.append(
            {"shard": number, "passages": passages, "documents": documents, "bytes": size, "segments": len(names)}
        )
    return {
        "generation": generation.number,
        "shards": shards,
        "passages": sum(shard["passages"] for shard in shards),
        "documents": sum(shard["documents"] for shard in shards),
        "hosts": [{"host": host, "passages": n} for host, n in hosts.most_common(_MOST_HOSTS)],
        "languages": [{"language": language, "passages": n} for language, n in languages.most_common()],
    }
