"""WARC -> main text -> quality filters -> MinHash: pages a second and core, against datatrove.

    python benchmarks/build.py [--pages 12000] [--quick] [--json]

The same WARC (pages of Debian's documentation packages), the same filters with the same published thresholds,
the same MinHash settings (14 bands of 8, word 5-grams); datatrove with its default extractor (trafilatura,
favour_precision) in .venv-bench. Neither side identifies languages. Ours and the peer take turns on slices of
the WARC, one process at a time, so that both see the same machine; time is CPU time with that of children.
The F1 of both extractors is benchmarks/extraction.py's, on the annotated pages, measured in the same run.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import common
from debian_warc import debian_warc

HERE = Path(__file__).parent
PEER = Path(sys.executable) if find_spec("datatrove") else HERE.parent / ".venv-bench" / "bin" / "python"


def ours(warc: Path, start: int, limit: int) -> dict[str, float]:
    """Clean records [start, start + limit) of the WARC in this process."""
    from sixfold.systems.rag.clean.cleaner import Cleaner, CleanerConfig
    from sixfold.systems.rag.records import Document, RawRecord
    from sixfold.systems.rag.sources import plan_splits, read_split

    cleaner = Cleaner(CleanerConfig(languages=None))
    cleaner.config.extractor("<p>warm up</p>")
    kept = seen = 0
    began_s = cpu_s = 0.0
    for split in plan_splits([warc]):
        for item in read_split(split):
            if seen == start:
                began_s, cpu_s = time.perf_counter(), time.process_time()
            if seen >= start and isinstance(item, RawRecord):
                kept += isinstance(cleaner.clean(item), Document)
            seen += 1
            if seen == start + limit:
                break
        if seen == start + limit:
            break
    return {
        "wall_s": time.perf_counter() - began_s,
        "cpu_s": time.process_time() - cpu_s,
        "kept": kept,
        "pages": seen - start,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pages", type=int, default=12_000)
    parser.add_argument("--slices", type=int, default=6)
    parser.add_argument("--quick", action="store_true", help="600 pages in 2 slices")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--ours", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.ours:
        warc, start, limit = arguments.ours
        print(json.dumps(ours(Path(warc), int(start), int(limit))))
        return
    if not PEER.exists():
        sys.exit("the peer is not installed: run `make .venv-bench`")
    pages, slices = (600, 2) if arguments.quick else (arguments.pages, arguments.slices)
    warc = debian_warc(pages).resolve()
    size = pages // slices
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    mine: list[dict[str, float]] = []
    peer: list[dict[str, float]] = []
    for k in range(slices):
        window = [str(warc), str(k * size), str(size)]
        command = [sys.executable, __file__, "--ours", *window]
        mine.append(json.loads(subprocess.run(command, env=environment, check=True, capture_output=True).stdout))
        with tempfile.TemporaryDirectory() as out:
            command = [str(PEER), str(HERE / "peers" / "datatrove_build.py"), window[0], out, *window[1:]]
            output = subprocess.run(command, env=environment, check=True, capture_output=True).stdout
        peer.append(json.loads(output.splitlines()[-1]))
        print(f"slice {k + 1} of {slices}: ours {mine[-1]}, peer {peer[-1]}", file=sys.stderr)
    our_rate = statistics.median(size / m["cpu_s"] for m in mine)
    peer_rate = statistics.median(size / (p["cpu_s"] + p["children_cpu_s"]) for p in peer)
    name = f"datatrove {peer[0]['version']}, {pages} pages in {slices} slices, medians over the slices"
    rows = [
        common.Row(
            "pages per CPU-second, WARC to MinHash", our_rate, "pages/s", peer_rate, our_rate / peer_rate,
            target=1.5, passed=our_rate / peer_rate >= 1.5, note=name,
        ),
        common.Row("pages kept", sum(m["kept"] for m in mine), "pages", sum(p["kept"] for p in peer)),
    ]  # fmt: skip
    common.show("build", common.machine("resiliparse", "fastwarc", "rensa"), rows, as_json=arguments.json)


if __name__ == "__main__":
    main()
