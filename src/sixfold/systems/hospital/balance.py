"""What `balance` turns of hospital, what a run of it has to hold, and where the laws would begin.

The objective is what the worst-served hospital's patients get, because it is what privacy, bytes and rounds are paid
for, and because it is the noisy one: bytes and epsilon follow from the knobs to a few parts in a thousand, so that as
limits they pick no lucky runs, which a floor under a noisy AUROC would. Hospitals and patients are synthetic: AUROC is
then known within .02 at every hospital, and nothing is tuned on anybody's test patients.

All rounds are masked and private, so that local epochs have to be private too: see `train/private_descent.py` and
docs/decisions/0024-hospital-balance.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from sixfold.design.checklist import Design
from sixfold.study.balance import Balance, Goal, Knobs, Limit, Measure, settled

__all__ = ["BALANCE", "LOAD", "opened", "round_bytes", "seeds"]

# Of every run: hospitals; patients that train, of all together; patients that judge, of each; trainings, as one draw of
# the noise says little; how far hospitals lie from each other (data/generator.py).
LOAD: Mapping[str, float] = {
    "hospitals": 8, "patients": 2_400, "judged_patients": 400, "draws": 3,
    "label_skew": 1.0, "covariate_skew": 0.5, "quantity_skew": 0.7, "concept_skew": 0.5,
}  # fmt: skip
_BYTES, _EPSILON = 500_000.0, 1.0
_MESSAGE_BYTES = 675.0  # of signature, header and heads of logs: a pilot of eight hospitals; of four it is 585
_MESSAGES = 10  # to and from a hospital in a masked round
# A pilot without noise, six other seeds: steps to .99 of the pooled AUROC, the median of 38 to 141; and the share of
# them that local epochs do not replace, fitted where all of 1 to 32 epochs came, at .98.
_STEPS, _FLOOR = 66.0, 0.02
_SHARES = (1.0, 0.75, 0.5)  # of the hospitals, one seed each


@contextmanager
def opened(work: Path, seed: int, load: Mapping[str, float] = LOAD) -> Iterator[Measure]:
    """Lay out the hospitals once; what comes back runs a federation of them, in this process."""
    from sixfold.systems.hospital.balance_trial import Trials, synthetic

    yield Trials(work, *synthetic(load, seed), seed, int(load["draws"]))


def seeds(design: Design) -> Sequence[Knobs]:
    """What the laws predict to be good for some shares of the hospitals in a round.

    As many rounds as the limit of bytes pays for, the fewest local epochs with which training gets there in as many,
    and all the privacy that may be spent.
    """
    from sixfold.design.laws.federated import rounds_to_target

    rounds_knob, epochs_knob = design.knobs["rounds"], design.knobs["local_epochs"]
    epochs_E = np.arange(epochs_knob.low, epochs_knob.high + 1)
    found: list[Knobs] = []
    for share in _SHARES:
        rounds = settled("rounds", rounds_knob, math.floor(_BYTES / round_bytes(share * LOAD["hospitals"])))
        enough_E = rounds_to_target(_STEPS, epochs_E, _FLOOR) <= rounds
        epochs = float(epochs_E[np.argmax(enough_E)] if enough_E.any() else epochs_E[-1])
        found.append({"participation": share, "rounds": rounds, "local_epochs": epochs, "epsilon": _EPSILON})
    return found


def round_bytes(asked: float) -> float:
    """What a masked round of so many hospitals should move: the model, the masks and the vector, and envelopes."""
    from sixfold.design.laws.federated import federated_bytes, secure_aggregation
    from sixfold.systems.hospital.costs import NUMBER_BYTES
    from sixfold.systems.hospital.scenario import model_of

    numbers = model_of().size
    masked = secure_aggregation(asked, numbers, value_bits=8 * NUMBER_BYTES)
    down = federated_bytes(1, asked, NUMBER_BYTES * numbers, up_share=0.0)
    return float(down + masked.server_bytes) + asked * _MESSAGES * _MESSAGE_BYTES


BALANCE = Balance(
    objective=Goal("misordered", "ratio"),
    second=Goal("moved_bytes", "B"),
    limits=(
        Limit("moved_bytes", _BYTES, "B"),
        Limit("epsilon", _EPSILON, ""),
        Limit("quality", 0.97, "", at_least=True),
    ),
    open=opened,
    seeds=seeds,
    about=LOAD,
    words={
        "misordered": "misordered pairs at the worst hospital (1 - AUROC)",
        "moved_bytes": "bytes through the coordinator",
        "epsilon": "epsilon spent at delta = 1/N",
        "quality": "AUROC of all patients over that of the pooled model",
    },
)
