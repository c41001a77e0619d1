"""Laws that couple speed to quality: batch size, stale gradients, data and parameters, recall, privacy."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from sixfold.design.checks import Floats, at_least, positive, within

__all__ = [
    "BESIROGLU",
    "HOFFMANN",
    "chinchilla_loss",
    "chinchilla_optimum",
    "critical_batch",
    "examples_at_batch",
    "gradient_noise_scale",
    "private_error",
    "quantisation_snr_db",
    "stale_steps",
    "steps_at_batch",
]

# Hoffmann et al. 2022, equation 10: the parametric fit, approach 3. Besiroglu et al. 2024 refit the same runs.
HOFFMANN = (1.69, 406.4, 410.7, 0.34, 0.28)  # E, A, B, alpha, beta
BESIROGLU = (1.8172, 482.01, 2085.43, 0.3478, 0.3658)


def gradient_noise_scale(gradient_variance: ArrayLike, gradient_norm: ArrayLike) -> Floats:
    """Return the simple noise scale tr(Sigma) / |G|^2, in examples: about the critical batch.

    Source: McCandlish, Kaplan, Amodei et al., "An empirical model of large-batch training", arXiv 1812.06162, 2018,
    equation 2.9.
    """
    return np.asarray(
        at_least("gradient_variance", gradient_variance, 0.0) / positive("gradient_norm", gradient_norm) ** 2
    )


def critical_batch(least_examples: ArrayLike, least_steps: ArrayLike) -> Floats:
    """Return the batch at which a target takes twice the least steps and twice the least examples: E_min / S_min.

    Source: McCandlish et al. 2018, equation 2.12.
    """
    return np.asarray(positive("least_examples", least_examples) / positive("least_steps", least_steps))


def steps_at_batch(least_steps: ArrayLike, batch: ArrayLike, critical: ArrayLike) -> Floats:
    """Return the optimiser steps to a target at a batch: S_min (1 + B_crit / B).

    Source: McCandlish et al. 2018, equation 2.11.
    """
    return np.asarray(
        positive("least_steps", least_steps) * (1.0 + positive("critical", critical) / positive("batch", batch))
    )


def examples_at_batch(least_steps: ArrayLike, batch: ArrayLike, critical: ArrayLike) -> Floats:
    """Return the examples to a target at a batch: S_min (B + B_crit), steps times batch.

    Source: McCandlish et al. 2018, equation 2.11.
    """
    return np.asarray(
        positive("least_steps", least_steps) * (positive("batch", batch) + positive("critical", critical))
    )


def stale_steps(
    error: ArrayLike,
    delay: ArrayLike,
    *,
    smoothness: ArrayLike,
    noise: ArrayLike,
    gap: ArrayLike = 1.0,
) -> Floats:
    """Return the order of steps until gradients of a smooth loss are below `error`, squared, at a mean delay.

    L F (sigma^2 / eps^2 + (1 + delay) / eps), constants left out: delay costs nothing while the noise dominates, up to
    delay = sigma^2 / eps, and grows linearly beyond. gap: the loss to be gained; delay: steps between the reading of
    parameters and the use of their gradient, workers - 1 for asynchronous workers alike. Source: Koloskova, Stich and
    Jaggi, "Sharper convergence guarantees for asynchronous SGD", NeurIPS 2022 (mean in place of greatest delay); Stich
    and Karimireddy, "The error-feedback framework", JMLR 21, 2020, for a constant delay.
    """
    eps = positive("error", error)
    scale = positive("smoothness", smoothness) * positive("gap", gap)
    variance = at_least("noise", noise, 0.0) ** 2
    return np.asarray(scale * (variance / eps**2 + (1.0 + at_least("delay", delay, 0.0)) / eps))


def chinchilla_loss(
    parameters: ArrayLike, tokens: ArrayLike, *, constants: tuple[float, float, float, float, float] = BESIROGLU
) -> Floats:
    """Return the loss, in nats a token, of a transformer of N parameters after D tokens: E + A / N^a + B / D^b.

    Of one pass over web text with a tuned schedule. Source: Hoffmann et al., "Training compute-optimal large language
    models", NeurIPS 2022, equation 2 and section 3.3; constants of Besiroglu et al., "Chinchilla scaling: a replication
    attempt", arXiv 2404.10102, 2024, whose fit holds for the same runs where the first does not.
    """
    e, a, b, alpha, beta = constants
    n, d = positive("parameters", parameters), positive("tokens", tokens)
    return np.asarray(e + a / n**alpha + b / d**beta)


def chinchilla_optimum(
    flops: ArrayLike, *, constants: tuple[float, float, float, float, float] = BESIROGLU
) -> tuple[Floats, Floats]:
    """Return the parameters and tokens of least loss for so many FLOPs, C = 6 N D.

    N = G (C / 6)^(b / (a + b)), D = (C / 6) / N, G = (a A / (b B))^(1 / (a + b)). Source: Hoffmann et al. 2022,
    equation 4.
    """
    _, a, b, alpha, beta = constants
    work = positive("flops", flops) / 6.0
    n = (alpha * a / (beta * b)) ** (1.0 / (alpha + beta)) * work ** (beta / (alpha + beta))
    return np.asarray(n), np.asarray(work / n)


def quantisation_snr_db(bits: ArrayLike, crest: ArrayLike = 3.0**0.5) -> Floats:
    """Return the signal over the noise of uniform quantisation, in dB: 6.02 b + 4.77 - 20 log10(crest).

    crest: greatest value over the root mean square, sqrt(3) of a uniform one; outliers raise it. Every bit is worth 6
    dB; below about 20 dB answers change. Source: Bennett, "Spectra of quantized signals", Bell System Technical J.
    27, 1948; Gray and Neuhoff, "Quantization", IEEE Trans. Information Theory 44(6), 1998, section III.
    """
    ratio = 3.0 * 4.0 ** at_least("bits", bits, 1.0) / at_least("crest", crest, 1.0) ** 2
    return np.asarray(10.0 * np.log10(ratio))


def private_error(error: ArrayLike, chance_error: ArrayLike, epsilon: ArrayLike, half_epsilon: ArrayLike) -> Floats:
    """Return the error of a model trained privately: between its error without noise and that of guessing.

    error + (chance - error) / (1 + (eps / half)^2): noise adds excess risk as 1 / eps^2 where it is small (strongly
    convex losses, Bassily et al., FOCS 2014), and never more than guessing. half_epsilon: where half of what was
    learnt is lost, falls with the number of examples; from a measured pair of error and epsilon. Source: Bassily et
    al. 2014, theorem 2.4 for the tail; the joining of both ends is an assumption.
    """
    low, high = within("error", error, 0.0, 1.0), within("chance_error", chance_error, 0.0, 1.0)
    if np.any(low > high):
        raise ValueError(f"got error={error!r} above chance_error={chance_error!r}, expected at most that")
    lost = 1.0 / (1.0 + (positive("epsilon", epsilon) / positive("half_epsilon", half_epsilon)) ** 2)
    return np.asarray(low + (high - low) * lost)
