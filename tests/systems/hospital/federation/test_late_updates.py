"""Promises of late updates: what missed its round is in the next one, discounted, once; and never under privacy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from federation_run import Federation, a_job, cohorts
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sixfold.errors import ConfigError, UserError
from sixfold.files import read_json_lines
from sixfold.parts.privacy_mechanism import Budget, Mechanism
from sixfold.parts.signed_message import open_sealed
from sixfold.systems.hospital.cohort import Cohort
from sixfold.systems.hospital.federation.contribution import contribute, fixed_point
from sixfold.systems.hospital.federation.coordinator import FederationStalled
from sixfold.systems.hospital.federation.job import Job, Protection
from sixfold.systems.hospital.federation.late_updates import late_vector, with_late
from sixfold.systems.hospital.federation.messages import LIMIT_BYTES, Phase
from sixfold.systems.hospital.federation.site_state import SiteState
from sixfold.systems.hospital.train.algorithm import Total
from sixfold.systems.hospital.train.choose import make_algorithm

SITES = ("site0", "site1", "site2", "site3")
ROUNDS = 4
ALGORITHM = make_algorithm("fedavg", 3, {"rounds": ROUNDS, "epochs": 2, "learning_rate": 0.5})
Late = Mapping[int, Sequence[str]]  # round -> hospitals whose vector comes too late


@dataclass
class Slow:
    """Loses the vectors of some hospitals in some rounds, on their way back."""

    late: Late
    carries: Phase  # in the answer to which a vector travels
    roster: Mapping[str, Ed25519PublicKey] = field(default_factory=dict)

    def __call__(self, site: str, request: bytes, handle: Callable[[bytes], bytes]) -> bytes:
        header, _ = open_sealed(request, self.roster, site, LIMIT_BYTES)
        answer = handle(request)
        if site in self.late.get(header.round, ()) and header.phase == self.carries:
            raise UserError("too late")
        return answer


def trained(folder: Path, job: Job, late: Late, restart: bool = False) -> tuple[np.ndarray, Federation]:
    slow = Slow(late, Phase.ORDER if job.protection is Protection.PLAIN else Phase.MASK)
    federation = Federation(folder, cohorts(4, 30), change=slow)
    slow.roster = federation.roster

    def watch(record: object) -> None:
        if restart:
            for site in SITES:
                federation.restart(site)

    return federation.coordinator(watch=watch).run(job, ALGORITHM, 0).state.arrays["theta"], federation


def by_hand(job: Job, late: Late, data: Sequence[Cohort]) -> np.ndarray:
    """The same, hospital by hospital, without any message."""
    coder, state = fixed_point(job), ALGORITHM.init(0)
    waiting: dict[str, np.ndarray] = {}
    for round_ in range(ROUNDS):
        order = ALGORITHM.order(state)
        total, counted = np.zeros(order.length, dtype=coder.dtype), 0
        for cohort in data:
            vector = coder.decode(contribute(job, order, cohort, {}, b"x" * 32, round_).values)
            if cohort.site in waiting:
                vector = vector + job.late * waiting.pop(cohort.site)
            encoded = coder.encode(vector)
            if cohort.site in late.get(round_, ()):
                waiting[cohort.site] = coder.decode(encoded)
            else:
                total, counted = total + encoded, counted + 1
        state = ALGORITHM.step(state, Total(coder.decode(total), counted))
    return state.arrays["theta"]


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    late=st.dictionaries(st.integers(0, ROUNDS - 1), st.sets(st.sampled_from(SITES), max_size=1).map(tuple)),
    discount=st.sampled_from([0.5, 1.0]),
    masked=st.booleans(),
)
def test_a_late_vector_is_in_the_next_sum_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, late: Late, discount: float, masked: bool
) -> None:
    protection = Protection.MASKED if masked else Protection.PLAIN
    job = a_job(SITES, late=discount, protection=protection)
    theta, _ = trained(tmp_path_factory.mktemp("late"), job, late)
    assert theta.tobytes() == by_hand(job, late, cohorts(4, 30)).tobytes()


def test_a_hospital_that_starts_again_still_has_it_and_logs_it(tmp_path: Path) -> None:
    late = {1: ("site2",), 2: ("site2",)}
    job = a_job(SITES, late=0.5)
    theta, federation = trained(tmp_path / "a", job, late, restart=True)
    assert theta.tobytes() == by_hand(job, late, cohorts(4, 30)).tobytes()
    told = [
        (line["facts"]["round"], line["facts"]["late"])
        for line in read_json_lines(federation.logs["site2"])
        if line["kind"] == "contribution"
    ]
    assert told == [(0, False), (1, False), (2, True), (3, True)]
    dropped, _ = trained(tmp_path / "b", a_job(SITES), late)
    assert dropped.tobytes() == by_hand(a_job(SITES), late, cohorts(4, 30)).tobytes() != theta.tobytes()


def state_of(folder: Path, survivors: Sequence[str]) -> tuple[Job, SiteState]:
    job, state = a_job(SITES, late=1.0), SiteState(folder)
    encoded = contribute(job, ALGORITHM.order(ALGORITHM.init(0)), cohorts(1, 30)[0], {}, b"x" * 32, 3)
    state.keep_vector(3, "order", encoded)
    if survivors:
        state.agree(3, survivors)
    return job, state


@pytest.mark.parametrize(
    ("survivors", "previous", "added"),
    [
        ((), {"round": 3, "sites": SITES[1:]}, True),
        ((), {"round": 2, "sites": SITES}, True),  # round 3 was given up
        ((), {"round": 3, "sites": SITES}, False),
        (SITES, {"round": 3, "sites": SITES[1:]}, False),  # it signed that it is in that sum
        ((), {"round": 4, "sites": SITES[1:]}, False),  # what became of round 3 is not known
    ],
)
def test_a_vector_that_may_be_in_a_sum_is_not_added_to_another(
    tmp_path: Path, survivors: Sequence[str], previous: dict[str, object], added: bool
) -> None:
    job, state = state_of(tmp_path, survivors)
    assert (late_vector(job, "local_sgd", 5, "site0", state, previous) is not None) == added


def test_what_the_numbers_do_not_hold_together_is_not_added(tmp_path: Path) -> None:
    job, state = state_of(tmp_path, ())
    vector = state.kept_vector()
    assert vector is not None
    coder = fixed_point(job)
    large = type(vector)(coder.encode(np.full(6, 0.9 * coder.limit)), {}, 30)
    assert with_late(job, large, large) == large
    assert with_late(job, vector, vector).late


def test_late_vectors_of_what_is_no_average_are_refused(tmp_path: Path) -> None:
    federation = Federation(tmp_path, cohorts(4, 30))
    newton = make_algorithm("newton", 3, {"rounds": 2, "l2": 0.1})
    with pytest.raises(FederationStalled):
        federation.coordinator().run(a_job(SITES, late=0.5), newton, 0)
    told = [line["facts"]["why"] for line in read_json_lines(federation.logs["site0"]) if line["kind"] == "refusal"]
    assert "newton_terms is no average" in told[0]


def test_under_privacy_late_vectors_are_dropped() -> None:
    with pytest.raises(ConfigError, match="the noise of one hospital only"):
        a_job(SITES, late=0.5, mechanism=Mechanism(1.0, 2.0, 2), budget=Budget(1.0, 1e-3))
    with pytest.raises(ConfigError, match="expected 0 to 1"):
        a_job(SITES, late=1.5)
