"""Memory of training against the papers' figures, and what must hold whatever the plan."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.design.catalog.architectures import architecture
from sixfold.design.laws.training_memory import layer_activation_bytes, state_bytes, training_memory
from sixfold.design.laws.training_plan import FULL, NONE, SELECTIVE, plan
from sixfold.design.laws.transformer import transformer

powers = st.sampled_from([1, 2, 4, 8])


def test_states_are_those_of_zero_figure_1() -> None:
    # 7.5 billion parameters on 64 devices: 120, 31.4, 16.6 and 1.9 GB.
    expected = [120e9, 31.4e9, 16.6e9, 1.9e9]
    assert state_bytes(7.5e9, 64, np.arange(4)) == pytest.approx(expected, rel=0.02)


def test_a_layer_keeps_what_korthikanti_table_2_says() -> None:
    s, b, h, a, t = 2048.0, 1.0, 12288.0, 96.0, 8.0
    gpt = transformer(96, h, a, seq_len=s)
    layout = plan(global_batch=1, micro_batch=b, tensor=t)
    split = plan(global_batch=1, micro_batch=b, tensor=t, sequence=1)
    sbh = s * b * h
    assert layer_activation_bytes(gpt, layout, NONE, 0) == pytest.approx(sbh * (10 + 24 / t + 5 * a * s / (h * t)))
    assert layer_activation_bytes(gpt, split, NONE, 0) == pytest.approx(sbh / t * (34 + 5 * a * s / h))
    assert layer_activation_bytes(gpt, split, SELECTIVE, 0) == pytest.approx(34 * sbh / t)
    assert layer_activation_bytes(gpt, layout, FULL, 0) == 2 * sbh


@given(powers, powers, powers, st.integers(1, 8), st.integers(0, 3))
def test_more_sharding_and_more_recomputation_never_take_more(t: int, p: int, d: int, b: int, zero: int) -> None:
    def total(tensor: int = t, data: int = d, stage: int = zero, recompute: float = NONE, micro: int = b) -> float:
        layout = plan(
            global_batch=8192, micro_batch=micro, tensor=tensor, pipeline=p, data=data, zero=stage, recompute=recompute
        )
        model = architecture("llama-3-70b").transformer(4096)
        return float(training_memory(model, layout).total_bytes - training_memory(model, layout).working_bytes)

    assert total(tensor=2 * t) < total()
    assert total(stage=min(zero + 1, 3)) <= total()
    assert total(data=2 * d) <= total()
    assert total(recompute=FULL) < total(recompute=SELECTIVE) < total(recompute=NONE)
    assert total(micro=b + 1) > total()


def test_llama_3_8b_does_not_train_on_one_device_and_does_on_eight_with_zero_3() -> None:
    model = architecture("llama-3-8b").transformer(8192)
    alone = training_memory(model, plan(global_batch=8, recompute=FULL))
    sharded = training_memory(model, plan(global_batch=8, data=8, zero=3, recompute=FULL))
    assert alone.total_bytes > 80 * 2**30 > sharded.total_bytes


def test_experts_are_divided_by_their_own_degree() -> None:
    model = architecture("deepseek-v3").transformer(4096)
    few = training_memory(model, plan(global_batch=512, pipeline=16, data=128, expert=[8, 64], zero=1))
    # 653 of its 671 billion parameters are experts: two bytes and a 32-bit gradient each, and states once.
    assert few.state_bytes[0] - few.state_bytes[1] == pytest.approx(653e9 / 16 * (1 / 8 - 1 / 64) * 6, rel=0.05)
