"""Main-text extraction: quality and speed of ours beside trafilatura and resiliparse on annotated pages.

    python benchmarks/extraction.py [--data DIR] [--repeats 3] [--quick] [--json]

DIR holds `ground-truth.json` ({key: {"articleBody": text}}) and `html/KEY.html.gz`, as published with the
Scrapinghub article extraction benchmark, and is scored as there: tokens are runs of word characters, a page's
4-token shingles are compared with their counts (tp: in both, fp: only extracted, fn: only annotated);
precision tp/(tp+fp) is averaged over pages with an extraction, recall tp/(tp+fn) over pages with an
annotation, F1 is the harmonic mean of the two averages. Pages are read from memory, decoded; speeds are per
second of CPU.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import re
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from common import DATA, Row, machine, show
from sixfold.systems.rag.clean.extract import extract
from sixfold.systems.rag.clean.extract_labels import label_of_names

F1_TARGET = 0.955
SPEED_TARGET = 2.0
RESAMPLES = 1000
SHINGLE = 4
WORD = re.compile(r"\w+")

Extractor = Callable[[str], str]
Counts = tuple[int, int, int]  # true positives, false positives, false negatives


def shingles(text: str) -> Counter[tuple[str, ...]]:
    """The counted 4-grams of a text's tokens; a shorter text is one shingle."""
    words = WORD.findall(text)
    if not words:
        return Counter()
    return Counter(tuple(words[i : i + SHINGLE]) for i in range(max(1, len(words) - SHINGLE + 1)))


def compare(annotated: str, extracted: str) -> Counts:
    """Shingles in both, only in the extracted, only in the annotated text."""
    true, found = shingles(annotated), shingles(extracted)
    common = (true & found).total()
    return common, found.total() - common, true.total() - common


def score(pages: Sequence[Counts]) -> tuple[float, float, float]:
    """F1, precision and recall of pages."""
    precision = statistics.fmean([tp / (tp + fp) for tp, fp, _ in pages if tp + fp] or [0.0])
    recall = statistics.fmean([tp / (tp + fn) for tp, _, fn in pages if tp + fn] or [0.0])
    return 2 * precision * recall / (precision + recall or 1.0), precision, recall


def interval(values: list[float]) -> str:
    """The central 95 % of bootstrap values."""
    values.sort()
    return f"{values[round(0.025 * (len(values) - 1))]:.3f} to {values[round(0.975 * (len(values) - 1))]:.3f}"


def extractors() -> dict[str, Extractor]:
    """Ours first, then the peers."""
    try:
        import trafilatura
        from resiliparse.extract.html2text import extract_plain_text
    except ImportError as error:
        sys.exit(f"{error.name} is missing; the peers come with: pip install trafilatura resiliparse")
    return {
        "sixfold": lambda html: extract(html).text,
        "trafilatura": lambda html: trafilatura.extract(html) or "",
        "trafilatura fast, no comments": (
            lambda html: trafilatura.extract(html, fast=True, include_comments=False) or ""
        ),
        "trafilatura favor_precision": lambda html: trafilatura.extract(html, favor_precision=True) or "",
        "resiliparse main content": lambda html: extract_plain_text(html, main_content=True, list_bullets=False),
        "resiliparse, no comments or metadata": (
            lambda html: extract_plain_text(
                html, main_content=True, list_bullets=False, alt_texts=False, comments=False, post_meta=False
            )
        ),
    }


def load(folder: Path, *, quick: bool) -> tuple[list[str], list[str]]:
    """Pages and their annotated texts, in the order of their keys."""
    truth_file = folder / "ground-truth.json"
    if not truth_file.exists():
        sys.exit(f"{truth_file}: not there; give the folder of the annotated pages with --data")
    truth: Mapping[str, Mapping[str, str]] = json.loads(truth_file.read_text(encoding="utf-8"))
    keys = sorted(truth)[:: 6 if quick else 1]
    html = [gzip.decompress((folder / "html" / f"{key}.html.gz").read_bytes()).decode("utf-8") for key in keys]
    return html, [truth[key].get("articleBody", "") for key in keys]


def measure(run: Extractor, html: Sequence[str]) -> float:
    """CPU seconds of one pass; our cache of class names starts empty, as for a site never seen."""
    label_of_names.cache_clear()
    start = time.process_time()
    for page in html:
        run(page)
    return time.process_time() - start


def main() -> None:
    """Run every extractor over every page and print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA / "extraction")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="every sixth page, one repeat")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    html, annotated = load(options.data, quick=options.quick)
    repeats = 1 if options.quick else max(1, options.repeats)
    runs = extractors()

    counts = {name: [compare(t, run(h)) for h, t in zip(html, annotated, strict=True)] for name, run in runs.items()}
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):  # in turns, so that a busy moment of the machine hits all alike
        for name, run in runs.items():
            seconds[name].append(measure(run, html))
    speed = {name: len(html) / statistics.median(times) for name, times in seconds.items()}

    draw = random.Random(0)
    samples = [draw.choices(range(len(html)), k=len(html)) for _ in range(RESAMPLES)]
    booted = {name: [score([pages[i] for i in sample])[0] for sample in samples] for name, pages in counts.items()}

    rows = []
    for name, pages in counts.items():
        f1, precision, recall = score(pages)
        target, passed = (F1_TARGET, f1 >= F1_TARGET) if name == "sixfold" else (None, None)
        note = f"95 % {interval(list(booted[name]))}, n = {len(html)}; P {precision:.3f}, R {recall:.3f}"
        rows.append(Row(f"F1, {name}", f1, "", target=target, passed=passed, note=note))
        if options.json:
            rows += [Row(f"precision, {name}", precision, ""), Row(f"recall, {name}", recall, "")]
            rows.append(Row(f"speed, {name}", speed[name], "pages/cpu-s", note=f"median of {repeats}"))
    for name in list(runs)[1:]:
        ratio = speed["sixfold"] / speed[name]
        bar = SPEED_TARGET if name.startswith("trafilatura") else None
        better = [a - b for a, b in zip(booted["sixfold"], booted[name], strict=True)]
        rows.append(
            Row(f"speed against {name}", speed["sixfold"], "pages/cpu-s", peer=speed[name], ratio=ratio,
                target=bar, passed=None if bar is None else ratio >= bar,
                note=f"median of {repeats}; F1 difference (paired) 95 % {interval(better)}")
        )  # fmt: skip
    show("extraction", machine("lxml", "resiliparse", "trafilatura"), rows, as_json=options.json)


if __name__ == "__main__":
    main()
