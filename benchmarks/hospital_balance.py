"""Whether what `balance` chose over synthetic hospitals serves four real ones: the worst hospital's AUROC out of fold.

    python benchmarks/hospital_balance.py [--quick] [--json]

Training patients of the embedded hospitals only, in folds; the test patients are not looked at. Every setting is
trained by hospitals and a coordinator in this process, masked and private, and once more at the epsilon of the ladder,
as only a seventh as many patients train here. At one hospital next to nobody is well: it trains, and is not judged.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")  # before numpy is imported

sys.path.insert(0, str(Path(__file__).parent))
import numpy as np  # noqa: E402

from common import Row, machine, show  # noqa: E402
from sixfold.design.checklist import load_design  # noqa: E402
from sixfold.study.balance import defaults  # noqa: E402
from sixfold.systems import load_system  # noqa: E402
from sixfold.systems.hospital.balance_trial import Trials  # noqa: E402
from sixfold.systems.hospital.data import heart  # noqa: E402

# Of the run that docs/balance.md shows.
CHOSEN = {
    "all axes together": {"epsilon": 1.0, "local_epochs": 5.0, "rounds": 15.0, "participation": 0.5},
    "axes tuned alone": {"local_epochs": 14.0},
}
LADDER = 8.0
FOLDS, LEAST = 3, 10  # LEAST: patients of the rarer outcome that a hospital needs to be judged


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    draws = 1 if options.quick else 8
    train = [cohort.take(~heart.held_out(cohort)) for cohort in heart.complete_cases(heart.read_embedded())]
    judged = [min(cohort.y_N.sum(), len(cohort) - cohort.y_N.sum()) >= LEAST for cohort in train]
    parts = [_folds(cohort.y_N, np.random.default_rng(at)) for at, cohort in enumerate(train)]
    start = defaults(load_design(load_system("hospital").design))
    chosen = {"start": start, **{name: {**start, **more} for name, more in CHOSEN.items()}}
    settings = chosen | {f"{name}, epsilon {LADDER:g}": {**one, "epsilon": LADDER} for name, one in chosen.items()}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in settings}
    with tempfile.TemporaryDirectory() as folder:
        for fold in range(FOLDS):
            held_out = [(part == fold) & may for part, may in zip(parts, judged, strict=True)]
            measure = Trials(Path(folder) / str(fold), train, held_out, fold, draws)
            for name, knobs in settings.items():
                found[name].append(measure(knobs))
    rows = []
    sites = sum(judged)
    for name, runs in found.items():
        mean = {metric: float(np.mean([run[metric] for run in runs])) for metric in runs[0]}
        epsilon, moved = max(run["epsilon"] for run in runs), mean["moved_bytes"]
        note = f"epsilon {epsilon:.2f}, {moved / 1e3:.0f} kB; mean of {FOLDS} folds of {draws} draws of the noise"
        rows.append(Row(f"worst of {sites} hospitals: {name}", 1.0 - mean["misordered"], "AUROC", note=note))
        rows.append(Row(f"all patients: {name}", mean["auroc"], "AUROC", note=f"{mean['quality']:.3f} of pooled"))
    show("hospital_balance", machine("numpy", "dp-accounting"), rows, as_json=options.json)


def _folds(y_N: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Which fold each patient is in, N, each with its part of both outcomes."""
    at_N = np.zeros(len(y_N), dtype=np.int64)
    for outcome in (0.0, 1.0):
        rows = rng.permutation(np.flatnonzero(y_N == outcome))
        at_N[rows] = np.arange(len(rows)) % FOLDS
    return at_N


if __name__ == "__main__":
    main()
