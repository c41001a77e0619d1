"""Embedding tables and steps of recommenders: limits that any law of them must keep."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.design.catalog.devices import device
from sixfold.design.catalog.recommenders import engine, fabric, ranker, recommender_named, row_s
from sixfold.design.laws.recommender import StepTime, dense_flops, step_time
from sixfold.design.laws.tables import OPTIMISERS, cache_hit_share, lookup_bytes, pooled_exchange_s, table_bytes

MODEL = recommender_named("DLRM")
assert MODEL is not None
SHAPE = ranker(MODEL, 4.2e9)
A100 = device("a100-sxm-80gb")


def step(batch: float, devices: float = 1.0, *, precision: str = "amp", training: bool = True) -> StepTime:
    return step_time(
        SHAPE, batch, devices, engine(A100, precision), fabric(A100),
        optimiser="sgd" if training else None, split_tables=True, gather_bytes_per_s=1e12, launch_s=1e-3,
        activation_bytes=2.0 if precision == "amp" else 4.0,
    )  # fmt: skip


def test_the_dense_part_is_what_the_paper_says_of_its_widths() -> None:
    products = 13 * 512 + 512 * 256 + 256 * 128 + 480 * 1024 + 1024 * 1024 + 1024 * 512 + 512 * 256 + 256
    assert dense_flops(SHAPE) == pytest.approx(2 * products + 2 * 27**2 * 128)
    assert SHAPE.values == SHAPE.pooled == 26 * 128


@given(st.floats(1, 1e12), st.sampled_from([16, 128, 512]), st.sampled_from(sorted(OPTIMISERS)))
def test_training_never_holds_less_than_serving(parameters: float, width: int, optimiser: str) -> None:
    serving = table_bytes(parameters, width)
    assert serving <= table_bytes(parameters, width, optimiser=optimiser) <= 3 * serving * (1 + 1e-12)
    assert lookup_bytes(width, width) < lookup_bytes(width, width, optimiser=optimiser)


def test_an_unknown_optimiser_is_refused() -> None:
    with pytest.raises(ValueError, match="adamax"):
        table_bytes(1.0, 1.0, optimiser="adamax")


@given(st.floats(0, 1), st.floats(0, 0.99), st.floats(0, 1))
def test_a_larger_cache_answers_more_and_all_rows_answer_all(share: float, skew: float, more: float) -> None:
    larger = min(1.0, share + more)
    assert 0.0 <= cache_hit_share(share, skew) <= cache_hit_share(larger, skew) <= 1.0
    assert cache_hit_share(1.0, skew) == 1.0
    assert cache_hit_share(share, skew) >= share - 1e-12, "the hottest rows are asked for more than others"


@given(st.integers(1, 128), st.floats(1e3, 1e6), st.floats(1e9, 1e12), st.floats(1e9, 1e11))
def test_no_links_are_needed_by_one_device_and_slow_ports_never_help(
    devices: int, batch: float, near: float, far: float
) -> None:
    links = {"near": 8.0, "near_alpha_s": 1e-6, "near_bytes_per_s": near, "far_alpha_s": 1e-5}
    assert pooled_exchange_s(1, batch, 3328, far_bytes_per_s=far, **links) == 0.0
    slow, fast = (pooled_exchange_s(devices, batch, 3328, far_bytes_per_s=far * f, **links) for f in (1.0, 2.0))
    assert fast <= slow


@given(st.integers(64, 10**6), st.sampled_from([1, 2, 4, 8, 16]), st.booleans())
def test_parts_make_the_whole_and_more_samples_take_longer(batch: int, devices: int, training: bool) -> None:
    small, large = (step(n, devices, training=training) for n in (batch, 2 * batch))
    assert float(small.total_s) <= float(large.total_s) <= 2.0 * float(small.total_s) * (1 + 1e-9)
    parts = (small.lookup_s, small.pass_s, small.product_s, small.exchange_s, small.launch_s)
    assert sum(map(float, parts)) == pytest.approx(float(small.total_s))
    assert float(step(batch, devices, precision="tf32", training=training).total_s) >= float(small.total_s)


def test_the_ceiling_moves_with_the_tables() -> None:
    """From the host's memory to the device, and on to links and launches as the batch is divided."""
    host = device("cpu-epyc-7742")
    on_host = step_time(
        SHAPE, 65_536.0, 1.0, engine(host, "fp32", sockets=2), fabric(host), optimiser="sgd", split_tables=True,
        gather_bytes_per_s=2e11, launch_s=1e-3, row_s=row_s(host),
    )  # fmt: skip
    assert str(on_host.ceiling) == "tables"
    assert str(step(65_536.0).ceiling) == "device"
    assert str(step(65_536.0, 64.0).ceiling) in {"network", "launches"}
    assert float(step(65_536.0 * 64, 64.0).exchange_s) > float(step(65_536.0 * 8, 8.0).exchange_s), (
        "beyond one node links are slower"
    )
