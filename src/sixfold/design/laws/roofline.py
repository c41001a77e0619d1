"""Laws of one device: how long matrix products and passes over memory take, with efficiency by shape.

A product of m x k by k x n does 2 m n k operations. It runs at less than peak when its output has too few tiles to
fill the device, and when its depth is too short to fill a tile's pipeline. Both losses saturate:
time = 2 m n k / rate x (1 + area / (m n) + depth / k), where `area` (output elements) and `depth` (elements) are the
sizes at which each loss equals the useful time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sixfold.design.checks import Floats, at_least

__all__ = [
    "Device",
    "attainable_flops",
    "gemm_efficiency",
    "gemm_time_s",
    "later_of_s",
    "slowest_of",
    "training_gemm_time_s",
]


@dataclass(frozen=True, slots=True)
class Device:
    """What one device does: peaks of its data sheet, and the shares of them that its best kernels reach.

    flops: dense peak of matrix products; attention_flops: peak at the precision of attention (16 bit where products
    are 8 bit). gemm_share, memory_share: of the peaks. half_area, half_depth: see the module. attention_share: of
    attention_flops, of a fused attention kernel (FlashAttention).
    """

    flops: float
    attention_flops: float
    memory_bytes_per_s: float
    gemm_share: float
    half_area: float
    half_depth: float
    memory_share: float
    attention_share: float

    @property
    def gemm_flops(self) -> float:
        """FLOP/s of a large matrix product."""
        return self.flops * self.gemm_share

    @property
    def pass_bytes_per_s(self) -> float:
        """Bytes/s of a kernel that only reads and writes."""
        return self.memory_bytes_per_s * self.memory_share


def attainable_flops(intensity_flops_per_byte: ArrayLike, flops: ArrayLike, bytes_per_s: ArrayLike) -> Floats:
    """Return min(peak, intensity x bandwidth), in FLOP/s.

    Source: Williams, Waterman and Patterson, "Roofline", CACM 52(4), 2009.
    """
    intensity = np.asarray(intensity_flops_per_byte, dtype=np.float64)
    return np.asarray(
        np.minimum(np.asarray(flops, dtype=np.float64), intensity * np.asarray(bytes_per_s, dtype=np.float64))
    )


def gemm_efficiency(m: ArrayLike, n: ArrayLike, k: ArrayLike, device: Device) -> Floats:
    """Return the share of its peak at which a device multiplies m x k by k x n, by the module's saturation.

    Source of the form: wave and tile quantisation in "Matrix multiplication background user's guide", NVIDIA 2020,
    made smooth; of its constants: `catalog/efficiencies.yaml`.
    """
    rows, columns, depth = (np.asarray(value, dtype=np.float64) for value in (m, n, k))
    loss = device.half_area / (rows * columns) + device.half_depth / depth
    return np.asarray(device.gemm_share / (1.0 + loss))


def gemm_time_s(m: ArrayLike, n: ArrayLike, k: ArrayLike, device: Device) -> Floats:
    """Return the seconds of one product of m x k by k x n (see the module)."""
    rows, columns, depth = (np.asarray(value, dtype=np.float64) for value in (m, n, k))
    # 2 m n k (1 + area / m n + depth / k), multiplied out: nothing divides by a size.
    work = rows * columns * (depth + device.half_depth) + device.half_area * depth
    return np.asarray(2.0 / device.gemm_flops * work)


def training_gemm_time_s(m: ArrayLike, n: ArrayLike, k: ArrayLike, device: Device) -> tuple[Floats, Floats]:
    """Return the seconds of (forward, backward) of a linear layer from k to n over m tokens.

    Backward is two products as large as the forward one, each with another of the three sizes as its depth.
    """
    tokens, out, inner = (np.asarray(value, dtype=np.float64) for value in (m, n, k))
    forward = gemm_time_s(tokens, out, inner, device)
    work = 2.0 * tokens * out * inner + device.half_area * (out + tokens)
    work = work + device.half_depth * (tokens * inner + out * inner)
    return forward, np.asarray(2.0 / device.gemm_flops * work)


def later_of_s(one_s: ArrayLike, other_s: ArrayLike) -> Floats:
    """Return the time until both of two concurrent activities end: the larger, a little more where they are close.

    (a^6 + b^6)^(1/6), at most 12 % above the larger: neither is steady, so that each waits for the other at times.
    Source: the power-mean form of a smooth maximum; the exponent is ours.
    """
    one, other = np.asarray(one_s, dtype=np.float64), np.asarray(other_s, dtype=np.float64)
    a, b = one * one, other * other
    return np.asarray(np.cbrt(np.sqrt(a * a * a + b * b * b)))


def slowest_of(devices: ArrayLike, spread: ArrayLike) -> Floats:
    """Return how much longer the slowest of n like devices takes than the average one: 1 + spread x E[max of n].

    spread: standard deviation of their speeds over the mean. A step that all of them take together waits for it. The
    expected maximum of n normal deviates by Blom, Statistical estimates and transformed beta-variables, 1958.
    """
    from scipy.special import ndtri  # lazily: the import takes longer than an answer

    n = at_least("devices", devices, 1.0)
    return np.asarray(1.0 + at_least("spread", spread, 0.0) * ndtri((n - 0.375) / (n + 0.25)))
