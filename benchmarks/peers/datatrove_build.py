"""The peer of benchmarks/build.py: datatrove on the same WARC with the same filters and MinHash settings.

Runs in .venv-bench. Prints one JSON object: pages read, kept, wall and CPU seconds of each step.
No language and no URL filter on either side: datatrove's download a model and lists at run time.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from pathlib import Path

from datatrove.data import Document
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature
from datatrove.pipeline.extractors import Trafilatura
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)
from datatrove.pipeline.readers import WarcReader
from loguru import logger


def main(warc: Path, out: Path, start: int, limit: int) -> None:
    """Run the pipeline in this process and print what it took."""
    logger.remove()
    logging.disable(logging.WARNING)
    kept: list[Document] = []

    def keep(data, rank=0, world_size=1):
        for document in data:
            kept.append(document)
            yield document

    steps = [
        WarcReader(str(warc.parent), glob_pattern=warc.name, skip=start, limit=limit),
        Trafilatura(favour_precision=True, timeout=5),
        GopherRepetitionFilter(),
        GopherQualityFilter(),
        C4QualityFilter(filter_no_terminal_punct=False),
        FineWebQualityFilter(),
        keep,
        MinhashDedupSignature(
            output_folder=str(out), config=MinhashConfig(n_grams=5, num_buckets=14, hashes_per_bucket=8)
        ),
    ]
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    data = None
    for step in steps[:-1]:
        data = step(data) if callable(step) and not hasattr(step, "run") else step.run(data, 0, 1)
    steps[-1].run(data, 0, 1)
    wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
    children_s = sum(__import__("os").times()[2:4])  # the extractor runs in a child process
    import datatrove

    print(
        json.dumps(
            {
                "wall_s": wall_s,
                "cpu_s": cpu_s,
                "children_cpu_s": children_s,
                "kept": len(kept),
                "version": __import__("importlib.metadata", fromlist=["x"]).version(datatrove.__name__),
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
