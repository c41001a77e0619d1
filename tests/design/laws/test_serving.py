"""Steps and memory of served models: published sizes, and what must hold whatever the design."""

import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.design.catalog.devices import device
from sixfold.design.catalog.serving import engine, model_named, serving_framework
from sixfold.design.laws.serving import Engine, Replica, collectives_s, decode_step_s, prefill_step_s
from sixfold.design.laws.serving_memory import (
    ServedModel,
    batch_that_fits,
    experts_touched,
    kv_bytes_per_device,
    kv_bytes_per_token,
    pipeline_stage,
    weight_bytes_per_device,
    weight_bytes_read,
)

names = st.sampled_from(["llama-3.1-8b", "llama-3.1-70b", "qwen3-235b-a22b", "deepseek-v3"])
degrees = st.sampled_from([1.0, 2.0, 4.0, 8.0])
ranks = st.sampled_from([1.0, 2.0, 8.0])
batches = st.floats(1, 2000)
lengths = st.floats(16, 100_000)


def model(name: str) -> ServedModel:
    found = model_named(name)
    assert found is not None
    return found[0]


def h100(precision: str = "bf16", backend: str = "vllm") -> Engine:
    return engine(device("h100-sxm-80gb"), serving_framework(backend), precision=precision)


def replica(tensor: float = 1.0, data: float = 1.0, weight: float = 2.0, value: float = 2.0) -> Replica:
    return Replica(np.asarray(tensor), np.asarray(data), np.asarray(weight), np.asarray(value))


@pytest.mark.parametrize(
    ("name", "billions", "active", "kv_bytes"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", 8.03, 7.5, 131_072),  # 32 layers x 2 x 8 heads x 128 x 2 bytes
        ("Llama-3.3-70B", 70.6, 69.5, 327_680),
        ("deepseek-ai/DeepSeek-R1", 671, 37, 70_272),  # 61 layers x 576 x 2 bytes: 70 KB, its section 1 of V3's report
        ("Qwen/Qwen3-235B-A22B-FP8", 235, 22, 192_512),
        ("openai/gpt-oss-120b", 116.8, 5.1, 36_864),  # of 18 layers with full attention
        ("moonshotai/Kimi-K2.5", 1026, 32, 70_272),
        ("zhipuai/GLM-5", 744, 40, 89_856),
        ("MiniMaxAI/MiniMax-M2.5", 230, 10, 253_952),
        ("Qwen/Qwen3.5-397B-A17B", 397, 17, 30_720),
    ],
)
def test_models_have_the_sizes_that_their_reports_print(
    name: str, billions: float, active: float, kv_bytes: float
) -> None:
    shape = model(name)
    assert float(shape.common + shape.routed + shape.table) == pytest.approx(billions * 1e9, rel=0.01)
    assert float(shape.active) == pytest.approx(active * 1e9, rel=0.06)
    assert float(kv_bytes_per_token(shape)) == kv_bytes


def test_what_fits_on_one_device() -> None:
    shape = model("llama-3.1-8b")
    held = weight_bytes_per_device(shape, 1.0, 2.0)
    assert float(held) == pytest.approx(16.06e9, rel=0.01)
    request = kv_bytes_per_device(shape, 8192.0, 1.0)
    fits = float(batch_that_fits(held, request, 80 * 2**30))
    assert 50 <= fits <= 58  # (85.9 - 16.1) x .9 - 2 GB, of 1.07 GB each
    assert float(batch_that_fits(2 * 80 * 2**30, request, 80 * 2**30)) == 0.0


@given(names, degrees, ranks, batches, lengths, st.floats(1.01, 4))
def test_more_keys_never_take_less_memory_nor_time(
    name: str, tensor: float, data: float, batch: float, context: float, more: float
) -> None:
    shape, on = model(name), replica(tensor, data)
    assert kv_bytes_per_device(shape, context * more, tensor) >= kv_bytes_per_device(shape, context, tensor)
    short, long = (decode_step_s(shape, batch, context * factor, on, h100()) for factor in (1.0, more))
    assert 0.0 < short <= long < np.inf


@given(names, degrees, ranks, batches, lengths, st.floats(1.01, 4))
def test_a_larger_batch_takes_longer_and_yields_more(
    name: str, tensor: float, data: float, batch: float, context: float, more: float
) -> None:
    on = replica(tensor, data)
    small_s, large_s = (decode_step_s(model(name), batch * factor, context, on, h100()) for factor in (1.0, more))
    assert small_s <= large_s
    assert batch * more / large_s >= batch / small_s * (1 - 1e-9)


@given(names, degrees, ranks, lengths, st.floats(1.01, 4), st.floats(0, 256))
def test_a_longer_prompt_takes_longer_and_a_held_one_does_not(
    name: str, tensor: float, data: float, prompt: float, more: float, beside: float
) -> None:
    shape, on, with_it = model(name), replica(tensor, data), h100()
    short, long = (prefill_step_s(shape, prompt * f, 1.0, beside, 512.0, on, with_it) for f in (1.0, more))
    assert 0.0 < short <= long * (1 + 1e-9)
    held = prefill_step_s(shape, prompt, 1.0, beside, 512.0, on, with_it, cached=0.9)
    assert held <= short * (1 + 1e-9)


@given(names, st.floats(0, 1e6))
def test_a_step_reads_at_most_all_weights(name: str, tokens: float) -> None:
    shape = model(name)
    read = weight_bytes_read(shape, tokens, 1.0, 1.0)
    assert read <= weight_bytes_per_device(shape, 1.0, 1.0) * (1 + 1e-9)
    assert 0.0 <= experts_touched(shape, tokens) <= 1.0


def test_one_token_touches_the_experts_that_it_is_sent_to() -> None:
    assert float(experts_touched(model("deepseek-v3"), 1.0)) == pytest.approx(8 / 256)
    assert float(experts_touched(model("llama-3.1-8b"), 1000.0)) == 0.0


def test_one_device_exchanges_nothing_and_stages_share_the_model() -> None:
    shape = model("llama-3.1-70b")
    assert float(collectives_s(shape, 64.0, replica(), h100())) == 0.0
    assert float(collectives_s(shape, 64.0, replica(8.0), h100())) > 0.0
    assert float(pipeline_stage(shape, 4.0).active) == pytest.approx(float(shape.active) / 4.0)


def test_decoding_is_bound_by_reading_weights() -> None:
    step = float(decode_step_s(model("llama-3.1-8b"), 1.0, 128.0, replica(), h100()))
    bound = 15.01e9 / 3.35e12  # all but the input embedding, read once
    assert bound < step < 2 * bound


@pytest.mark.parametrize(("prompt", "prompts"), [(-1.0, 1.0), (1.0, np.nan), (np.inf, 1.0)])
def test_impossible_steps_are_refused(prompt: float, prompts: float) -> None:
    with pytest.raises(ValueError, match="expected"):
        prefill_step_s(model("llama-3.1-8b"), prompt, prompts, 0.0, 0.0, replica(), h100())


def test_two_hundred_thousand_designs_a_second() -> None:
    count = 200_000
    draw = np.random.default_rng(0)
    ones = np.ones(count)
    on = Replica(2.0 ** draw.integers(0, 4, count), ones, ones, ones)
    batch, context = draw.uniform(1, 256, count), draw.uniform(16, 8192, count)
    shape, with_it = model("deepseek-v3"), h100("fp8")
    start = time.process_time()
    decode_step_s(shape, batch, context, on, with_it)
    assert time.process_time() - start < 1.0  # measured: .03 s


def test_the_rate_of_experts_is_that_of_a_published_node() -> None:
    # LMSYS 2025-05: DeepSeek-V3 on 32 H100 for prefill, prompts of 2,000, 16,000 tokens a device, exchanges hidden.
    laid, prompts = replica(1.0, 32.0, 1.0), 32.0 * 8.0
    chosen, machine = model("deepseek-v3"), h100("fp8", "sglang")
    hidden_s = collectives_s(chosen, prompts * 2000.0, laid, machine)
    step_s = prefill_step_s(chosen, 2000.0, prompts, 0.0, 0.0, laid, machine) - hidden_s
    assert 8 * 16_000 / float(step_s) == pytest.approx(52_300, rel=0.005)


def test_experts_slow_products_down_and_dense_models_do_not_have_any() -> None:
    machine = h100("fp8")
    plain = replace(machine, expert_share=1.0)
    for name, slower in (("llama-3.1-70b", False), ("qwen3-235b-a22b", True)):
        times = [float(prefill_step_s(model(name), 8192.0, 1.0, 0.0, 0.0, replica(8.0), e)) for e in (machine, plain)]
        assert (times[0] > 1.5 * times[1]) if slower else times[0] == times[1]
