"""Sizes and FLOPs of transformers against published models and the closed forms of the papers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.design.catalog.architectures import architecture, architectures, named_architecture
from sixfold.design.laws.transformer import (
    Transformer,
    active_parameters,
    forward_flops_per_token,
    hardware_flops,
    model_flops,
    parameters,
    shape_of_size,
    transformer,
)

# Total and active parameters as their makers state them.
PUBLISHED = {
    "llama-3-8b": (8.03e9, None),
    "llama-3-70b": (70.6e9, None),
    "llama-3-405b": (405e9, None),
    "llama-2-7b": (6.74e9, None),
    "gpt-3-175b": (175e9, None),
    "mixtral-8x7b": (46.7e9, 12.9e9),
    "mixtral-8x22b": (141e9, 39e9),
    "gpt-oss-120b": (116.8e9, 5.13e9),
    "qwen3-30b-a3b": (30.5e9, 3.3e9),
    "qwen3-235b-a22b": (235e9, 22e9),
    "deepseek-v3": (671e9, 37e9),
    "kimi-k2": (1.04e12, 32e9),
    "palm-540b": (540e9, None),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_those_that_makers_state(name: str) -> None:
    model, (total, active) = architecture(name).transformer(2048), PUBLISHED[name]
    assert parameters(model) == pytest.approx(total, rel=0.015)
    if active is not None:
        # Makers count the input embedding or leave it out.
        assert active_parameters(model) == pytest.approx(active, rel=0.12)


def test_every_architecture_has_a_shape() -> None:
    for entry in architectures().values():
        assert np.isfinite(parameters(entry.transformer(4096)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("LLAMA3.1_405B", "llama-3-405b"),
        ("Llama 3.1 8B", "llama-3-8b"),
        ("DeepSeekV3 (w/o MTP)", "deepseek-v3"),
        ("GPT OSS 120B", "gpt-oss-120b"),
        ("MPT 7b", None),
    ],
)
def test_names_of_tables_find_their_architecture(text: str, expected: str | None) -> None:
    found = named_architecture(text)
    assert (found.id if found else None) == expected


dims = st.integers(1, 64)


@given(dims, dims, st.integers(1, 32), st.integers(1, 8))
def test_a_gpt_has_the_flops_of_narayanan_equation_3(layers: int, width: int, length: int, batch: int) -> None:
    h, s, v = 128.0 * width, 128.0 * length, 51200.0
    model = transformer(layers, h, max(1, width), vocab=v, seq_len=s)
    tokens = batch * s
    closed = 96 * tokens * layers * h**2 * (1 + s / (6 * h) + v / (16 * layers * h))
    assert hardware_flops(model, tokens, full=1.0) == pytest.approx(closed, rel=1e-9)
    without = 72 * tokens * layers * h**2 * (1 + s / (6 * h) + v / (12 * layers * h))
    assert model_flops(model, tokens) == pytest.approx(without, rel=1e-9)


def test_selective_recomputation_repeats_only_scores() -> None:
    model = transformer(96, 12288, 96)
    extra = hardware_flops(model, 2048, 0.0, 1.0) / model_flops(model, 2048) - 1
    assert extra == pytest.approx(2048 / 12288 / 18, rel=0.05)  # s / 18 h, less what s / 6 h adds to the whole


def test_arrays_of_shapes_broadcast() -> None:
    model = transformer([24, 48], [[2048], [4096]], 16)
    assert forward_flops_per_token(model).shape == (2, 2)


@given(st.floats(1e8, 1e12))
def test_a_guessed_shape_has_about_its_parameters(size: float) -> None:
    layers, hidden, heads = shape_of_size(size)
    assert parameters(transformer(layers, hidden, heads, vocab=1)) == pytest.approx(size, rel=0.15)
    assert hidden == heads * 128


def test_sizes_out_of_range_are_named() -> None:
    with pytest.raises(ValueError, match="layers"):
        transformer(0, 1024, 16)
    with pytest.raises(ValueError, match="experts"):
        transformer(2, 1024, 16, experts=-1)


def test_a_model_is_immutable() -> None:
    model: Transformer = transformer(2, 1024, 16)
    with pytest.raises(AttributeError):
        model.layers = model.hidden  # type: ignore[misc]
