"""A profile of a machine that nobody measured, for tests in which only its ceiling matters."""

from __future__ import annotations

from datetime import UTC, datetime

from sixfold.lab.profile import Link, Machine, Profile, Reading


def make_profile(efficiency: float = 1.0) -> Profile:
    """A profile of a machine of two cores that scale with `efficiency`; only the ceiling is used here."""
    one = Reading.of([1.0])
    scaling = {1: one, 2: Reading.of([efficiency])}
    machine = Machine.here().model_copy(update={"cores": 2})
    return Profile(
        machine=machine,
        measured_at=datetime.now(UTC),
        quick=True,
        foreign_load=0.0,
        core_flops_per_s=one,
        all_core_flops_per_s=one,
        core_memory_bytes_per_s=one,
        all_core_memory_bytes_per_s=one,
        python_efficiency=scaling,
        python_efficiency_cpu=scaling,
        disk_write_bytes_per_s=one,
        disk_read_bytes_per_s=one,
        disk_read_uncached=False,
        process_link=Link(alpha_s=one, beta_s_per_byte=one),
        ray=None,
    )
