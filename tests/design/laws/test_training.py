"""Properties of the step time of training: what must rise or fall with what, and how fast the law answers."""

import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sixfold.design.catalog.architectures import architecture
from sixfold.design.catalog.devices import device
from sixfold.design.catalog.efficiencies import framework, machine
from sixfold.design.laws.pipeline import bubble_fraction, held_micro_batches, pipeline_time_s
from sixfold.design.laws.roofline import attainable_flops, gemm_efficiency, gemm_time_s, later_of_s, slowest_of
from sixfold.design.laws.training import Machine, training_step
from sixfold.design.laws.training_plan import FULL, NONE, SELECTIVE, plan
from sixfold.design.laws.transformer import model_flops, transformer

GPT = transformer(32, 4096, 32, seq_len=2048)
powers = st.sampled_from([1, 2, 4, 8])


def a100(software: str = "megatron-lm") -> Machine:
    return machine(device("a100-sxm-80gb"), framework(software))


def test_the_bubble_is_narayanans() -> None:
    assert bubble_fraction(8, 64) == 7 / 64
    assert bubble_fraction(8, 64, 4) == 7 / 256
    assert pipeline_time_s(1.0, 1.0, 8, 64) == 71.0
    assert pipeline_time_s(1.0, 1.5, 8, 64) == 64 * 1.5 + 7
    assert held_micro_batches(8, 3) == 3
    assert held_micro_batches(8, 64) == 8
    assert held_micro_batches(8, 64, 2) == 8 * (1 + 7 / 16)


def test_products_approach_their_peak_with_size() -> None:
    driven = a100().device
    sizes = np.array([128, 512, 2048, 8192, 65536])
    efficiency = gemm_efficiency(sizes, sizes, sizes, driven)
    assert np.all(np.diff(efficiency) > 0)
    assert efficiency[0] < 0.05
    assert efficiency[-1] == pytest.approx(driven.gemm_share, rel=0.01)
    assert gemm_time_s(2048, 2048, 2048, driven) * driven.flops * efficiency[2] == pytest.approx(2 * 2048**3)
    assert attainable_flops(10, 312e12, 2e12) == 2e13


@given(st.floats(1e-6, 1e3), st.floats(1e-6, 1e3))
def test_two_concurrent_activities_end_with_the_later_one_or_little_after(one: float, other: float) -> None:
    both = later_of_s(one, other)
    assert max(one, other) * (1 - 1e-9) <= both <= 1.123 * max(one, other)


def test_the_slowest_of_many_is_slower() -> None:
    assert slowest_of(1, 0.015) == 1.0
    # The expected maximum of 8 and of 1,000 normal deviates: 1.42 and 3.24 (Harter 1961, table 1).
    assert slowest_of([8, 1000], 0.01) == pytest.approx([1.0142, 1.0324], abs=3e-4)


@settings(deadline=None)
@given(powers, powers, powers, powers, st.integers(0, 3), st.sampled_from([NONE, SELECTIVE, FULL]))
def test_no_plan_beats_the_peak_of_its_devices(t: int, p: int, d: int, b: int, zero: int, recompute: float) -> None:
    layout = plan(
        global_batch=1024, micro_batch=b, tensor=t, pipeline=p, data=d, zero=zero, recompute=recompute, sequence=1
    )
    for software in ("megatron-lm", "megatron-core", "torchtitan"):
        driven = a100(software)
        step = training_step(GPT, layout, driven)
        floor = model_flops(GPT, 1024 * 2048) / (t * p * d * driven.device.flops)
        # Fused attention leaves out masked scores, which the FLOPs of publications count.
        assert step.total_s > floor * (0.93 if driven.kernels.causal else 1.0)
        parts = step.compute_s + step.tensor_s + step.idle_s + step.data_s + step.optimiser_s
        assert parts == pytest.approx(float(step.total_s), rel=1e-6)


@settings(deadline=None)
@given(powers, powers, powers, st.sampled_from(["megatron-lm", "megatron-core", "deepspeed-zero3", "torchtitan"]))
def test_slower_links_never_help(t: int, p: int, d: int, software: str) -> None:
    driven = a100(software)
    layout = plan(global_batch=512, micro_batch=2, tensor=t, pipeline=p, data=d * 8, zero=framework(software).zero)
    slower = replace(driven, network=replace(driven.network, port_bytes_per_s=driven.network.port_bytes_per_s / 4))
    assert training_step(GPT, layout, slower).total_s >= training_step(GPT, layout, driven).total_s
    slower = replace(driven, network=replace(driven.network, scale_up_step_s=1e-3))
    assert training_step(GPT, layout, slower).total_s >= training_step(GPT, layout, driven).total_s


@settings(deadline=None)
@given(powers, powers, st.sampled_from([1, 2, 4]))
def test_recomputation_costs_time_and_interleaving_saves_bubbles(t: int, p: int, b: int) -> None:
    def total_s(recompute: float = NONE, chunks: int = 1) -> float:
        layout = plan(
            global_batch=64, micro_batch=b, tensor=t, pipeline=p, recompute=recompute, chunks=chunks, sequence=1
        )
        return float(training_step(GPT, layout, a100("megatron-core")).total_s)

    assert total_s(NONE) < total_s(SELECTIVE) < total_s(FULL) < 1.5 * total_s(NONE)
    if p > 1:
        assert total_s(chunks=2) < total_s()


def test_zero_3_over_flat_rings_is_bound_by_ports_and_larger_micro_batches_relieve_it() -> None:
    gpt = transformer(96, 12288, 96)
    layout = plan(global_batch=1536, micro_batch=[1, 4], data=[1536, 384], zero=3, recompute=FULL)
    step = training_step(gpt, layout, a100("deepspeed-zero3"))
    assert step.data_s[0] > 0.5 * step.total_s[0]
    assert step.data_s[1] < 0.3 * step.total_s[1]
    hierarchical = training_step(gpt, layout, a100("megatron-deepspeed"))
    assert hierarchical.total_s[0] < 0.6 * step.total_s[0]


def test_experts_cost_their_active_parameters_and_an_exchange() -> None:
    moe = architecture("mixtral-8x7b").transformer(4096)
    driven = machine(device("h100-sxm-80gb"), framework("megatron-core"))
    layout = plan(global_batch=512, micro_batch=1, data=64, zero=1, expert=[1, 8], sequence=1)
    step = training_step(moe, layout, driven)
    utilisation = model_flops(moe, 512 * 4096) / (step.total_s * 64 * driven.device.flops)
    assert np.all((utilisation > 0.15) & (utilisation < 0.6))
    far = plan(global_batch=512, micro_batch=1, data=64, zero=1, expert=64, sequence=1)
    assert training_step(moe, far, driven).tensor_s > step.tensor_s[1]


def test_a_plan_out_of_range_is_named() -> None:
    with pytest.raises(ValueError, match="zero"):
        plan(global_batch=8, zero=4)
    with pytest.raises(ValueError, match="tensor"):
        plan(global_batch=8, tensor=0)


def test_two_hundred_thousand_plans_take_less_than_a_second() -> None:
    rng, count = np.random.default_rng(0), 200_000

    def some(*values: float) -> np.ndarray:
        return rng.choice(np.array(values), count)

    layout = plan(
        global_batch=2048,
        micro_batch=some(1, 2, 4),
        tensor=some(1, 2, 4, 8),
        pipeline=some(1, 2, 4, 8),
        data=some(1, 4, 16, 64),
        context=some(1, 2),
        expert=some(1, 8),
        chunks=some(1, 2),
        zero=some(0, 1, 2, 3),
        recompute=some(NONE, SELECTIVE, FULL),
        sequence=some(0, 1),
    )
    driven, moe = a100("megatron-core"), architecture("deepseek-v3").transformer(4096)
    times = []
    for _ in range(3):
        started = time.process_time()
        step = training_step(moe, layout, driven)
        times.append(time.process_time() - started)
    assert step.total_s.shape == (count,)
    assert np.all(np.isfinite(step.total_s) & (step.total_s > 0))
    assert min(times) < 1.0
