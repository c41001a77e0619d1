"""Stage "secure": the coordinator is not trusted either; it sees sums, and attacks them in vain."""

from __future__ import annotations

import shutil
from collections.abc import Iterable

from sixfold.parts.array_codec import unpack
from sixfold.study import Check, Context, Forecast, Measurement, Outcome, Prediction, Row, Trial
from sixfold.systems.hospital.attacks import (
    Wiretap,
    header_of,
    looks_random,
    partial_sums,
    replays_answered,
    vectors_in_the_clear,
)
from sixfold.systems.hospital.costs import predicted_bytes, predicted_wall
from sixfold.systems.hospital.federation.job import Protection
from sixfold.systems.hospital.ladder_privacy import EPSILONS, budget_of, private
from sixfold.systems.hospital.provision import COORDINATOR
from sixfold.systems.hospital.scenario import features_of, federation_of, judge, measurement, site_names, train

__all__ = ["STAGE", "attacks_won", "checks", "predict", "predicted_attacks", "run"]

STAGE = "secure"
_LEAST_P = 1e-6  # below it, masked vectors do not look random


def run(trial: Trial) -> Measurement:
    """Train at the first epsilon with masked sums, keep all messages, and attack them."""
    tap = Wiretap()
    federation = federation_of(trial, tap)
    job, algorithm = private(trial.context, federation, STAGE, budget_of(trial.context, EPSILONS[0]), Protection.MASKED)
    length, home = features_of() + 1, federation.home / COORDINATOR / job.digest[:16]
    past = trial.folder / "before-the-last-round"

    def keep_the_past(request: bytes) -> None:
        if not past.exists() and header_of(request).round == algorithm.rounds - 1:
            shutil.copytree(home, past)

    tap.before = keep_the_past
    trained = train(trial, federation, job, algorithm)
    tap.before = lambda request: None
    messages = Wiretap(list(tap.messages))
    vectors = [
        unpack((federation.home / site / "jobs" / job.digest[:16] / "round.bin").read_bytes(), 1 << 30)["values"]
        for site in job.sites
    ]
    judged = judge(trained)
    return measurement(
        trained,
        judged,
        predicted_bytes=predicted_bytes(len(trained.finished.rounds), len(federation.hospitals), length, length),
        numbers_in_the_clear=float(vectors_in_the_clear(messages, vectors)),
        masked_bytes_p_value=looks_random(messages, trained.coordinator, length),
        replays_answered=float(replays_answered(messages, trained.handlers, trained.coordinator)),
        partial_sums=float(partial_sums(trained.coordinator, job, algorithm, past)),
        findings=float(len(federation.verify().findings)),
    )


def predict(context: Context, baseline: Row, workers: int) -> Prediction:
    """Five exchanges a round instead of one."""
    rounds = int(context.settings["private_rounds"])
    return predicted_wall(context, baseline, workers, rounds=rounds, sites=len(site_names(context)), masked=True)


def predicted_attacks(forecast: Forecast) -> float:
    """None wins: the masks are 256-bit keys, messages are bound to their round, and lists of survivors are signed."""
    return 0.0


def attacks_won(outcome: Outcome) -> float:
    """How many kinds of attack learned more than the sum."""
    extra = outcome.last.extra
    return float(
        (extra["numbers_in_the_clear"] > 0)
        + (extra["masked_bytes_p_value"] < _LEAST_P)
        + (extra["replays_answered"] > 0)
        + (extra["partial_sums"] > 0)
    )


def checks(outcome: Outcome) -> Iterable[Check]:
    """What each attack found."""
    extra = outcome.last.extra
    clear, p_value = extra["numbers_in_the_clear"], extra["masked_bytes_p_value"]
    yield Check("nothing in the clear", clear == 0, f"{clear:.0f} numbers of hospitals' vectors in all messages")
    yield Check("masked vectors look random", p_value >= _LEAST_P, f"chi-square of their bytes: p = {p_value:.3f}")
    replayed, partial = extra["replays_answered"], extra["partial_sums"]
    yield Check("replays", replayed == 0, f"{replayed:.0f} replayed messages were answered")
    yield Check("one sum a round", partial == 0, f"{partial:.0f} second sums over fewer hospitals were given out")
    yield Check("logs", extra["findings"] == 0, f"{extra['findings']:.0f} findings in the logs of all parties")
