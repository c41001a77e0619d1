"""Promises of long vectors: they are fetched in pieces, a lost piece is asked for again, and the sum is the same."""

from collections.abc import Callable
from pathlib import Path

import pytest
from federation_run import Federation, a_job, cohorts

from sixfold.systems.hospital.attacks import header_of
from sixfold.systems.hospital.federation import site
from sixfold.systems.hospital.federation.job import Protection
from sixfold.systems.hospital.federation.messages import Phase
from sixfold.systems.hospital.train.choose import make_algorithm

SITES = ("site0", "site1", "site2")
DATA = cohorts(3)
NEWTON = make_algorithm("newton", 3, {"rounds": 2})


@pytest.mark.parametrize("protection", list(Protection))
@pytest.mark.parametrize("lost", [0, 3])
def test_a_vector_in_pieces_gives_the_sum_of_the_whole_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protection: Protection, lost: int
) -> None:
    job = a_job(SITES, protection=protection)
    whole = Federation(tmp_path / "whole", DATA).coordinator().run(job, NEWTON, seed=0)
    monkeypatch.setattr(site, "_PIECE_BYTES", 48)
    fetched = 0

    def bad_link(name: str, request: bytes, handle: Callable[[bytes], bytes]) -> bytes:
        nonlocal fetched
        answer = handle(request)
        fetched += header_of(request).phase == Phase.FETCH
        return b"" if lost and header_of(request).phase == Phase.FETCH and fetched % lost == 0 else answer

    pieces = Federation(tmp_path / "pieces", DATA, change=bad_link).coordinator().run(job, NEWTON, seed=0)
    assert fetched >= 2 * 3 * 3
    assert pieces.state.arrays["theta"].tobytes() == whole.state.arrays["theta"].tobytes()
    assert {record.counted for record in pieces.rounds} == {SITES}
