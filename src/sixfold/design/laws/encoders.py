"""Laws of encoders, which turn texts into vectors or judge pairs: FLOPs a token, batches, tokens a second."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from sixfold.design.checks import Floats, at_least, positive, within

__all__ = [
    "corpus_device_hours",
    "encoder_batch_s",
    "encoder_flop_per_token",
    "encoder_parameters",
    "encoder_texts_per_s",
    "encoder_tokens_per_s",
    "half_rate_tokens",
    "padded_share",
]


def encoder_parameters(
    layers: ArrayLike, hidden: ArrayLike, feed_forward: ArrayLike | None = None, vocabulary: ArrayLike = 0.0
) -> Floats:
    """Return the parameters of a BERT-like encoder: layers (4 h^2 + 2 h f) and vocabulary x h; biases left out.

    feed_forward: f, 4 h if None. Source: Devlin et al., "BERT", NAACL 2019, section 3 (the widths); a count.
    """
    h = at_least("hidden", hidden, 1.0)
    f = 4.0 * h if feed_forward is None else at_least("feed_forward", feed_forward, 1.0)
    blocks = at_least("layers", layers, 0.0) * (4.0 * h**2 + 2.0 * h * f)
    return np.asarray(blocks + at_least("vocabulary", vocabulary, 0.0) * h)


def encoder_flop_per_token(
    layers: ArrayLike, hidden: ArrayLike, text_tokens: ArrayLike, feed_forward: ArrayLike | None = None
) -> Floats:
    """Return the FLOP of a forward pass, a token: 2 a parameter of the layers, and 4 s h a layer for attention.

    text_tokens: s, of the padded text; attention is over all of it, in both directions. Source: Kaplan et al., "Scaling
    laws for neural language models", 2020, table 1 (there 2 s h: of a causal half).
    """
    h = at_least("hidden", hidden, 1.0)
    attention = 4.0 * at_least("layers", layers, 0.0) * h * at_least("text_tokens", text_tokens, 1.0)
    return np.asarray(2.0 * encoder_parameters(layers, h, feed_forward) + attention)


def encoder_batch_s(
    tokens: ArrayLike,
    flop_per_token: ArrayLike,
    flop_per_s: ArrayLike,
    *,
    fixed_s: ArrayLike = 0.0,
    weight_bytes: ArrayLike = 0.0,
    bytes_per_s: ArrayLike = np.inf,
) -> Floats:
    """Return the time of a batch of tokens: fixed + max(FLOP / rate, weights / bandwidth).

    flop_per_s: what large products reach; fixed_s: of launches and copies, which a batch pays once. Small batches wait
    for the weights. Source: Williams, Waterman and Patterson, "Roofline", CACM 52(4), 2009; fixed and linear as Inoue,
    Performance Evaluation 147, 2021.
    """
    rate = np.asarray(bytes_per_s, dtype=np.float64)
    if not np.all(rate > 0.0):
        raise ValueError(f"got bytes_per_s={bytes_per_s!r}, expected above 0")
    work = at_least("tokens", tokens, 0.0) * at_least("flop_per_token", flop_per_token, 0.0)
    slower = np.maximum(work / positive("flop_per_s", flop_per_s), at_least("weight_bytes", weight_bytes, 0.0) / rate)
    return np.asarray(at_least("fixed_s", fixed_s, 0.0) + slower)


def half_rate_tokens(flop_per_token: ArrayLike, flop_per_s: ArrayLike, fixed_s: ArrayLike) -> Floats:
    """Return the tokens of a batch at which half of the greatest rate is reached: fixed x rate / FLOP a token.

    Hockney's n-1/2 of a batch. Source: Hockney, "The communication challenge for MPP", Parallel Computing 20(3), 1994.
    """
    tokens_per_s = positive("flop_per_s", flop_per_s) / positive("flop_per_token", flop_per_token)
    return np.asarray(at_least("fixed_s", fixed_s, 0.0) * tokens_per_s)


def encoder_tokens_per_s(
    tokens: ArrayLike, flop_per_token: ArrayLike, flop_per_s: ArrayLike, half_tokens: ArrayLike = 0.0
) -> Floats:
    """Return the tokens/s of batches of so many tokens: rate / FLOP a token x n / (n + half).

    half_tokens: `half_rate_tokens`. Source: the same as `encoder_batch_s`.
    """
    n = positive("tokens", tokens)
    greatest = positive("flop_per_s", flop_per_s) / positive("flop_per_token", flop_per_token)
    return np.asarray(greatest * n / (n + at_least("half_tokens", half_tokens, 0.0)))


def padded_share(text_tokens: ArrayLike, batch: int, *, bucketed: bool = False) -> float:
    """Return the tokens of padded batches over those of the texts, at least 1: E[longest of b] / E[length].

    text_tokens: a sample of lengths; each batch of `batch` texts is drawn at random from it and padded to its longest;
    bucketed: texts are sorted by length first, as encoders should do. Source: order statistics of a sample (David and
    Nagaraja, Order Statistics, 3rd ed., section 2.1).
    """
    lengths = np.sort(np.atleast_1d(at_least("text_tokens", text_tokens, 1.0)))
    size = int(at_least("batch", batch, 1.0))
    n = lengths.size
    if bucketed:
        ends = np.minimum(np.arange(size, n + size, size), n)
        starts = np.arange(0, n, size)
        return float(np.sum(lengths[ends - 1] * (ends - starts)) / lengths.sum())
    below = (np.arange(n + 1) / n) ** size
    return float(np.sum(lengths * np.diff(below)) / lengths.mean())


def encoder_texts_per_s(
    tokens_per_s: ArrayLike, text_tokens: ArrayLike, padding: ArrayLike = 1.0, client_texts_per_s: ArrayLike = np.inf
) -> Floats:
    """Return the texts/s: tokens/s over the padded length, and not more than clients send.

    One client that waits for each answer sends 1 / (its own time + the answer's): often what limits. Source: Denning
    and Buzen, "The operational analysis of queueing network models", ACM Computing Surveys 10(3), 1978 (bottleneck).
    """
    sent = np.asarray(client_texts_per_s, dtype=np.float64)
    if not np.all(sent > 0.0):
        raise ValueError(f"got client_texts_per_s={client_texts_per_s!r}, expected above 0")
    length = at_least("text_tokens", text_tokens, 1.0) * at_least("padding", padding, 1.0)
    return np.asarray(np.minimum(positive("tokens_per_s", tokens_per_s) / length, sent))


def corpus_device_hours(texts: ArrayLike, texts_per_s: ArrayLike, devices_busy_share: ArrayLike = 1.0) -> Floats:
    """Return the device-hours to encode a corpus once: texts / (rate x share of time that devices have work) / 3600.

    Source: a count.
    """
    share = within("devices_busy_share", positive("devices_busy_share", devices_busy_share), 0.0, 1.0)
    return np.asarray(at_least("texts", texts, 0.0) / (positive("texts_per_s", texts_per_s) * share) / 3600.0)
