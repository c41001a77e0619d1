"""Late updates: what a federation loses to a hospital that is often too late, and what counting it late gives back.

    python benchmarks/hospital_late.py [--quick] [--json]

Five synthetic hospitals (no real patients) that differ in base rate, patients and truth train a logistic model by
FedAvg, masked. The vectors of one come after the deadline in every second round, or in two of three. They are dropped,
or go into the next sum with the weight that the job says. Means over seeds, held-out patients; whole federations in
this process, and in all of them the deadline is a message that gets lost on its way back.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")  # before numpy is imported

sys.path.insert(0, str(Path(__file__).parent))
import numpy as np  # noqa: E402

from common import Row, machine, show  # noqa: E402
from sixfold.errors import UserError  # noqa: E402
from sixfold.parts.classification import auroc  # noqa: E402
from sixfold.parts.signed_message import open_sealed  # noqa: E402
from sixfold.systems.hospital.data.features import featurise  # noqa: E402
from sixfold.systems.hospital.data.generator import MATRIX, CohortSpec, generate  # noqa: E402
from sixfold.systems.hospital.federation.job import Protection  # noqa: E402
from sixfold.systems.hospital.federation.messages import LIMIT_BYTES, Phase  # noqa: E402
from sixfold.systems.hospital.local_federation import LocalFederation, seeded_secrets  # noqa: E402
from sixfold.systems.hospital.provision import COORDINATOR, load_kit  # noqa: E402
from sixfold.systems.hospital.scenario import (  # noqa: E402
    features_of,
    hospital_folders,
    job_for,
    kits_of,
    lay_out_hospitals,
    model_of,
)
from sixfold.systems.hospital.train.choose import make_algorithm  # noqa: E402

ROUNDS, SEEDS = 12, 5
SLOW = {
    "every second round": [at for at in range(ROUNDS) if at % 2],
    "two of three rounds": [at for at in range(ROUNDS) if at % 3],
}
WEIGHTS = (0.0, 0.5, 1.0)


class Bench:
    """Five hospitals of one seed; the first is the slow one."""

    def __init__(self, work: Path, seed: int) -> None:
        spec = CohortSpec(sites=5, patients=1_500, label_skew=0.6, covariate_skew=0.6, concept_skew=0.8, seed=seed)
        cohorts = generate(spec).cohorts
        held_out = [np.arange(len(cohort)) % 2 == 1 for cohort in cohorts]
        lay_out_hospitals(work, cohorts, held_out)
        self.work, self.seed, self.slow = work, seed, cohorts[0].site
        self.test = [featurise(cohort.take(test_N), MATRIX) for cohort, test_N in zip(cohorts, held_out, strict=True)]

    def quality(self, late: float, rounds: Collection[int]) -> tuple[float, float]:
        """AUROC over all hospitals and at the slow one; late: the job's weight. rounds: in which it is too late."""
        home = Path(tempfile.mkdtemp(dir=self.work))
        folders = hospital_folders(self.work)
        seeded_secrets(home, list(folders), self.seed)
        roster = load_kit(kits_of(self.work) / COORDINATOR, COORDINATOR).roster

        def tap(site: str, request: bytes, handle: Callable[[bytes], bytes]) -> bytes:
            answer = handle(request)
            if site == self.slow:
                header, _ = open_sealed(request, roster, site, LIMIT_BYTES)
                if header.phase == Phase.MASK and header.round in rounds:
                    raise UserError("too late")
            return answer

        federation = replace(LocalFederation(kits_of(self.work), folders, home), tap=tap)
        job = job_for(federation, "late", protection=Protection.MASKED, late=late)
        knobs: dict[str, float | int | str] = {"rounds": ROUNDS, "epochs": 5, "learning_rate": 0.5}
        state = federation.coordinator().run(job, make_algorithm("fedavg", features_of(), knobs), self.seed).state
        scores = [model_of().predict(state.arrays["theta"], cohort.X_ND) for cohort in self.test]
        everybody = auroc(np.concatenate([cohort.y_N for cohort in self.test]), np.concatenate(scores))
        return everybody, auroc(self.test[0].y_N, scores[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    seeds = range(2 if options.quick else SEEDS)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        benches = [Bench(Path(folder) / str(seed), seed) for seed in seeds]

        def mean(late: float, rounds: Collection[int]) -> tuple[float, float]:
            everybody, slow = np.mean([bench.quality(late, rounds) for bench in benches], axis=0)
            return float(everybody), float(slow)

        everybody, slow = mean(0.0, ())
        about = f"means of {len(seeds)} seeds"
        rows.append(Row("never late: AUROC at that hospital", slow, "", note=f"{everybody:.4f} over all; {about}"))
        for label, rounds in SLOW.items():
            dropped: float | None = None
            for late in WEIGHTS:
                everybody, slow = mean(late, rounds)
                dropped = slow if dropped is None else dropped
                name = f"late in {label}, weight {late:g}"
                ratio = slow / dropped
                rows.append(
                    Row(name, slow, "", dropped, ratio, 1.0, ratio >= 1.0, f"{everybody:.4f} over all; peer: dropped")
                )
    show("hospital_late", machine("numpy"), rows, as_json=options.json)


if __name__ == "__main__":
    main()
