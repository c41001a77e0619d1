"""Laws of encoders against counts of known models, and saturation with the batch."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.design.laws.encoders import (
    corpus_device_hours,
    encoder_batch_s,
    encoder_flop_per_token,
    encoder_parameters,
    encoder_texts_per_s,
    encoder_tokens_per_s,
    half_rate_tokens,
    padded_share,
)


def test_parameters_are_those_of_bert() -> None:
    # Devlin et al. 2019, section 3: base 110 M, large 340 M, vocabulary 30,522; positions and biases not counted.
    assert float(encoder_parameters(12, 768, vocabulary=30_522)) == pytest.approx(110e6, rel=0.02)
    assert float(encoder_parameters(24, 1024, vocabulary=30_522)) == pytest.approx(340e6, rel=0.03)
    assert encoder_parameters(6, 384, 1536) == encoder_parameters(6, 384)


def test_attention_adds_a_share_that_grows_with_the_text() -> None:
    # 2 a parameter of 85 M; attention, 4 s h a layer, adds s / (6 h) to it: 2.8 % at 128 tokens, 11 % at 512.
    short, long = encoder_flop_per_token(12, 768, [128, 512])
    assert short == pytest.approx(2 * 84.9e6 * (1 + 128 / (6 * 768)), rel=0.01)
    assert long / short == pytest.approx((1 + 512 / 4608) / (1 + 128 / 4608), rel=1e-6)


@given(st.floats(1.0, 1e6), st.floats(1e6, 1e10), st.floats(1e9, 1e15), st.floats(0.0, 0.1))
def test_half_of_the_rate_is_reached_at_the_half_rate_tokens(
    tokens: float, flop: float, rate: float, fixed: float
) -> None:
    half = float(half_rate_tokens(flop, rate, fixed))
    time = float(encoder_batch_s(tokens, flop, rate, fixed_s=fixed))
    assert float(encoder_tokens_per_s(tokens, flop, rate, half)) == pytest.approx(tokens / time, rel=1e-9)
    if half > 1e-6:
        assert float(encoder_tokens_per_s(half, flop, rate, half)) == pytest.approx(rate / flop / 2)
    assert float(encoder_tokens_per_s(2 * tokens, flop, rate, half)) >= tokens / time * (1 - 1e-12)


def test_one_text_waits_for_the_weights() -> None:
    assert encoder_batch_s(1, 1e8, 1e14, weight_bytes=2e8, bytes_per_s=1e12) == pytest.approx(2e-4)
    assert encoder_batch_s(1e4, 1e8, 1e14, weight_bytes=2e8, bytes_per_s=1e12) == pytest.approx(1e-2)
    with pytest.raises(ValueError, match="bytes_per_s"):
        encoder_batch_s(1, 1e8, 1e14, bytes_per_s=-1.0)


def test_padding_is_that_of_drawn_batches() -> None:
    rng = np.random.default_rng(1)
    lengths = np.round(rng.lognormal(4.5, 0.6, 5000)) + 1
    batches = rng.choice(lengths, (4000, 16))
    assert padded_share(lengths, 16) == pytest.approx(batches.max(axis=1).mean() / lengths.mean(), rel=0.02)
    assert padded_share(lengths, 1) == pytest.approx(1.0)
    assert 1.0 <= padded_share(lengths, 16, bucketed=True) < 1.02


@given(st.lists(st.integers(1, 512), min_size=1, max_size=60), st.integers(1, 64))
def test_padding_never_shrinks_and_buckets_never_pad_more(lengths: list[int], batch: int) -> None:
    mixed, sorted_first = padded_share(lengths, batch), padded_share(lengths, batch, bucketed=True)
    assert mixed >= 1 - 1e-9
    assert sorted_first >= 1 - 1e-9
    assert padded_share(lengths, batch + 1) >= mixed - 1e-9


def test_a_waiting_client_is_what_limits() -> None:
    assert encoder_texts_per_s(1e6, 100, 1.25) == pytest.approx(8000.0)
    assert encoder_texts_per_s(1e6, 100, client_texts_per_s=34.0) == 34.0
    assert corpus_device_hours(3.6e6, 100.0, 0.5) == pytest.approx(20.0)
    with pytest.raises(ValueError, match="client_texts_per_s"):
        encoder_texts_per_s(1e6, 100, client_texts_per_s=0.0)
