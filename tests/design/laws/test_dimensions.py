"""Units are checked: a law says the same whatever seconds, bytes, FLOPs, dollars, metres and watts are measured in.

What each argument is in stands in its name, and what a law returns in the law's. Scaling the base units by any factor
has to scale the result by the power that its own unit has of them; a law that adds seconds to bytes cannot.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sixfold.design.laws import (
    communication,
    encoders,
    energy,
    failures,
    federated,
    money,
    overload,
    pipeline,
    queueing,
    retrieval,
    roofline,
    scaling,
    stragglers,
    swarm,
    tables,
    tails,
)

# Powers of (time, bytes, FLOPs, dollars, length, energy). A rate in hours keeps the hours: they scale like seconds.
UNITS = {
    "s_per_byte": (1, -1, 0, 0, 0, 0), "bytes_per_s": (-1, 1, 0, 0, 0, 0), "flops_per_byte": (0, -1, 1, 0, 0, 0),
    "flop_per_s": (-1, 0, 1, 0, 0, 0), "usd_per_byte": (0, -1, 0, 1, 0, 0), "m_per_s": (-1, 0, 0, 0, 1, 0),
    "m_per_s2": (-2, 0, 0, 0, 1, 0), "usd_per_j": (0, 0, 0, 1, 0, -1), "kg_per_j": (0, 0, 0, 0, 0, -1),
    "per_hour": (-1, 0, 0, 0, 0, 0), "per_s": (-1, 0, 0, 0, 0, 0), "hour_usd": (-1, 0, 0, 1, 0, 0),
    "s": (1, 0, 0, 0, 0, 0), "bytes": (0, 1, 0, 0, 0, 0), "usd": (0, 0, 0, 1, 0, 0), "m": (0, 0, 0, 0, 1, 0),
    "m2": (0, 0, 0, 0, 2, 0), "j": (0, 0, 0, 0, 0, 1), "w": (-1, 0, 0, 0, 0, 1), "flop": (0, 0, 1, 0, 0, 0),
}  # fmt: skip
PLAIN = (0, 0, 0, 0, 0, 0)
# (module, law, arguments): everything else that a law takes stays at its default.
CASES: list[tuple[ModuleType, str, dict[str, float]]] = [
    (communication, "message_time_s", {"size_bytes": 1e6, "alpha_s": 1e-5, "beta_s_per_byte": 1e-9}),
    (communication, "all_reduce_time_s", {"p": 8, "size_bytes": 1e6, "alpha_s": 1e-5, "beta_s_per_byte": 1e-9}),
    (communication, "all_to_all_time_s", {"p": 8, "size_bytes": 1e6, "alpha_s": 1e-5, "beta_s_per_byte": 1e-9}),
    (communication, "all_gather_time_s", {"p": 8, "size_bytes": 1e6, "alpha_s": 1e-5, "beta_s_per_byte": 1e-9}),
    (communication, "broadcast_time_s", {"p": 8, "size_bytes": 1e6, "alpha_s": 1e-5, "beta_s_per_byte": 1e-9}),
    (communication, "two_level_bytes_per_s",
     {"members": 16, "per_node": 8, "scale_up_bytes_per_s": 3e11, "port_bytes_per_s": 2e10}),
    (communication, "compressed_time_s", {"plain_s": 1.0, "size_bytes": 1e9, "ratio": 4, "codec_bytes_per_s": 1e10}),
    (roofline, "attainable_flops", {"intensity_flops_per_byte": 10.0, "flops": 1e14, "bytes_per_s": 1e12}),
    (queueing, "mean_wait_s", {"arrivals_per_s": 30.0, "service_s": 0.1, "servers": 4}),
    (queueing, "mean_wait_cosmetatos_s", {"arrivals_per_s": 30.0, "service_s": 0.1, "servers": 4}),
    (queueing, "wait_quantile_s", {"q": 0.99, "arrivals_per_s": 30.0, "service_s": 0.1, "servers": 4}),
    (queueing, "wait_tail", {"wait_s": 0.2, "arrivals_per_s": 30.0, "service_s": 0.1, "servers": 4}),
    (tails, "fan_out_quantile_s", {"q": 0.99, "shards": 20, "median_s": 0.01, "p99_s": 0.05}),
    (tails, "hedged_quantile_s", {"q": 0.99, "delay_s": 0.03, "median_s": 0.01, "p99_s": 0.05}),
    (overload, "batched_response_s", {"arrivals_per_s": 30.0, "fixed_s": 0.01, "item_s": 0.001}),
    (overload, "admitted_goodput_per_s",
     {"arrivals_per_s": 60.0, "service_s": 0.1, "servers": 4, "objective_s": 0.5}),
    (overload, "retried_load_per_s", {"arrivals_per_s": 60.0, "capacity_per_s": 40.0, "retries": 2}),
    (scaling, "justification_time_s", {"t1_s": 100.0, "serial_fraction": 0.05, "overhead_s": 0.1, "p": 8}),
    (scaling, "cost_usd", {"p": 8, "time_s": 100.0, "worker_hour_usd": 2.0}),
    (failures, "daly_interval_s", {"checkpoint_s": 30.0, "mtbf_s": 7200.0}),
    (failures, "young_interval_s", {"checkpoint_s": 30.0, "mtbf_s": 7200.0}),
    (failures, "wasted_share", {"interval_s": 600.0, "checkpoint_s": 30.0, "restart_s": 300.0, "mtbf_s": 7200.0}),
    (failures, "expected_interruptions", {"nodes": 100, "failures_per_hour": 1e-3, "duration_s": 1e5}),
    (failures, "job_mtbf_s", {"nodes": 100, "failures_per_hour": 1e-3}),
    (money, "machine_usd", {"nodes": 8, "time_s": 100.0, "node_hour_usd": 2.0}),
    (money, "unit_usd", {"nodes": 8, "node_hour_usd": 2.0, "units_per_s": 30.0}),
    (money, "self_hosted_hour_usd", {"volume_per_s": 40.0, "node_capacity_per_s": 30.0, "node_hour_usd": 2.0}),
    (money, "egress_usd", {"moved_bytes": 1e9, "usd_per_byte": 1e-10}),
    (energy, "energy_j", {"power_w": 700.0, "time_s": 100.0}),
    (energy, "energy_usd", {"site_energy_j": 1e6, "usd_per_j": 3e-8}),
    (federated, "federated_bytes", {"rounds": 100, "clients": 20, "model_bytes": 1e6}),
    (federated, "round_time_s", {"clients": 20, "median_s": 30.0, "sigma": 0.5}),
    (stragglers, "slowest_lognormal_s", {"workers": 16, "median_s": 30.0, "sigma": 0.5}),
    (stragglers, "slowest_exponential_s", {"workers": 16, "mean_s": 30.0}),
    (swarm, "critical_range_m", {"robots": 500, "area_m2": 1e6}),
    (swarm, "clearance_m", {"speed_m_per_s": 5.0, "delay_s": 0.1, "braking_m_per_s2": 4.0}),
    (swarm, "safe_speed_m_per_s", {"free_m": 10.0, "delay_s": 0.1, "braking_m_per_s2": 4.0}),
    (swarm, "coverage_time_s", {"area_m2": 1e6, "robots": 50, "sensing_width_m": 20.0, "speed_m_per_s": 5.0}),
    (pipeline, "pipeline_time_s", {"stage_s": 0.1, "slowest_s": 0.12, "stages": 4, "micro_batches": 16}),
    (retrieval, "scan_s", {"scanned_bytes": 1e8, "bytes_per_s": 1e10, "scanned_flop": 1e9, "flop_per_s": 1e11}),
    (retrieval, "disk_query_s", {"reads": 100, "beam": 4, "read_s": 1e-4, "compute_s": 1e-3}),
    (encoders, "encoder_batch_s", {"tokens": 4096, "flop_per_token": 1e7, "flop_per_s": 1e13, "fixed_s": 1e-4}),
    (tables, "pooled_exchange_s",
     {"devices": 16, "batch": 65536, "pooled": 3328, "number_bytes": 4.0, "near": 8, "near_alpha_s": 1e-6,
      "near_bytes_per_s": 3e11, "far_alpha_s": 1e-5, "far_bytes_per_s": 2e10}),
]  # fmt: skip


def dimension(name: str) -> tuple[int, ...]:
    """The powers of the unit in which a name says that its value is; none where it says nothing."""
    if name in ("flops", "attainable_flops"):
        return (-1, 0, 1, 0, 0, 0)
    if name == "flop_per_token":
        return (0, 0, 1, 0, 0, 0)
    found = [unit for unit in UNITS if name == unit or name.endswith(f"_{unit}")]
    return UNITS[max(found, key=len)] if found else PLAIN


@pytest.mark.parametrize(("module", "name", "given_values"), CASES, ids=[case[1] for case in CASES])
@settings(max_examples=10)
@given(factors=st.tuples(*(st.floats(0.1, 10.0) for _ in PLAIN)))
def test_a_law_has_the_unit_in_its_name(
    module: ModuleType, name: str, given_values: dict[str, float], factors: tuple[float, ...]
) -> None:
    law: Callable[..., Any] = getattr(module, name)
    assert given_values.keys() <= inspect.signature(law).parameters.keys()

    def factor(of: str) -> float:
        return float(np.prod([base**power for base, power in zip(factors, dimension(of), strict=True)]))

    before = law(**given_values)
    after = law(**{key: value * factor(key) for key, value in given_values.items()})
    assert np.all(np.isfinite(before))
    np.testing.assert_allclose(after, before * factor(name), rtol=1e-6)


def test_names_say_their_units() -> None:
    assert dimension("node_capacity_per_s") == (-1, 0, 0, 0, 0, 0)
    assert dimension("beta_s_per_byte") == (1, -1, 0, 0, 0, 0)
    assert dimension("node_hour_usd") == (-1, 0, 0, 1, 0, 0)
    assert dimension("servers") == PLAIN
