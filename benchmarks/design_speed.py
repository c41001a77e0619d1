"""How many designs a second the search estimates, beside another analytic model of training.

    python benchmarks/design_speed.py [--quick] [--json]

Ours: every design of the space of examples/llm-pretraining.yaml (step time, memory, failures, cost), one process, one
thread, CPU time. The peer, llm-analysis, estimates one design a call: a sample of calls over layouts of the same model.
Then the time of the whole answer of every example, by wall time.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from pathlib import Path
from statistics import median

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")  # before numpy is imported

sys.path.insert(0, str(Path(__file__).parent))
from common import REPOSITORY, Row, machine, show  # noqa: E402
from sixfold.design.answer import answer  # noqa: E402
from sixfold.design.search import grid, search  # noqa: E402
from sixfold.design.spec import load_spec  # noqa: E402

EXAMPLES = REPOSITORY / "examples"
TARGET_PER_S, TARGET_S = 200_000.0, 10.0


def ours(repeats: int) -> tuple[float, int]:
    """Designs a second of CPU time, median; and how many there are."""
    spec = load_spec(EXAMPLES / "llm-pretraining.yaml")
    columns = grid(spec.workload.choices(spec))
    size = len(next(iter(columns.values())))
    search(spec, columns)
    rates = []
    for _ in range(repeats):
        began_s = time.process_time()
        search(spec, columns)
        rates.append(size / (time.process_time() - began_s))
    return median(rates), size


def peer(calls: int, repeats: int) -> float:
    """Designs a second of CPU time of llm-analysis, median."""
    from llm_analysis.analysis import train

    logging.disable(logging.CRITICAL)
    rates = []
    for _ in range(repeats):
        began_s = time.process_time()
        for call in range(calls):
            train(
                model_name="upstage_Llama-2-70b-instruct-v2",
                gpu_name="a100-sxm-80gb",
                dp_size=8,
                tp_size=2 ** (call % 4),
                pp_size=8,
                batch_size_per_gpu=1,
                global_batch_size=1024,
                seq_len=4096,
                total_num_tokens=int(2e12),
                flops_efficiency=0.5,
                log_level="CRITICAL",
            )
        rates.append(calls / (time.process_time() - began_s))
    return median(rates)


def measure(quick: bool) -> list[Row]:
    repeats = 3 if quick else 7
    rate, size = ours(repeats)
    beside = peer(20, repeats)
    rows = [
        Row(
            "training designs estimated a second", rate, "1/s", beside, rate / beside, TARGET_PER_S,
            rate >= TARGET_PER_S,
            f"{size} designs at once, median of {repeats}, one thread, CPU time; peer: llm-analysis, one a call",
        )
    ]  # fmt: skip
    for path in sorted(EXAMPLES.glob("*.yaml")):
        spec = load_spec(path)
        times = []
        for _ in range(1 if quick else 3):
            began_s = time.perf_counter()
            designs = answer(spec).designs
            times.append(time.perf_counter() - began_s)
        took_s = median(times)
        rows.append(
            Row(f"whole answer of {path.stem}", took_s, "s", target=TARGET_S, passed=took_s < TARGET_S,
                note=f"{designs} designs, wall time")
        )  # fmt: skip
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="fewer repeats")
    options = parser.parse_args()
    rows = measure(options.quick)
    show("design_speed", machine("numpy", "scipy", "llm-analysis"), rows, as_json=options.json)
    return 0 if all(row.passed is not False for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
