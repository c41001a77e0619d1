"""Laws of a step of a deep recommender: lookups, dense layers, exchanges, and which of them binds.

Lookups are bound by the memory that has the tables, dense layers by arithmetic, exchanges by links, and small batches
by the launches of kernels. The ceiling of a step is the part that takes longest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sixfold.design.checks import Floats, at_least
from sixfold.design.laws.communication import all_reduce_time_s
from sixfold.design.laws.roofline import Device, gemm_time_s
from sixfold.design.laws.tables import OPTIMISERS, lookup_bytes, pooled_exchange_s

__all__ = ["Fabric", "Ranker", "StepTime", "dense_flops", "dense_step_s", "step_time"]

_SPLIT_DEPTH = 1024.0  # assumed: of a product's depth that one part of the device takes


@dataclass(frozen=True, slots=True)
class Ranker:
    """The shape of a recommender.

    tables: how many. rows: that a sample looks up. values, pooled: numbers of these, see `tables`. layers: (inputs,
    outputs) of each product. pair_flops: of interactions that are no layer, forward. activations: numbers that a sample
    leaves between layers. dense_parameters, table_parameters.
    """

    tables: float
    rows: float
    values: float
    pooled: float
    layers: tuple[tuple[int, int], ...]
    pair_flops: float
    activations: float
    dense_parameters: float
    table_parameters: float


@dataclass(frozen=True, slots=True)
class Fabric:
    """Links of a device: `near` devices share fast ones; beyond is a port. Rates are of one direction, as reached."""

    near: float
    near_alpha_s: float
    near_bytes_per_s: float
    far_alpha_s: float
    far_bytes_per_s: float


@dataclass(frozen=True, slots=True)
class StepTime:
    """Seconds of a step by what binds them, arrays.

    lookup_s: of rows where the tables are. pass_s: over numbers between layers. product_s: of layers. exchange_s:
    between devices. launch_s: whatever the batch.
    """

    lookup_s: Floats
    pass_s: Floats
    product_s: Floats
    exchange_s: Floats
    launch_s: Floats

    @property
    def total_s(self) -> Floats:
        """One after the other: a sample's layers wait for its rows."""
        return np.asarray(self.lookup_s + self.pass_s + self.product_s + self.exchange_s + self.launch_s)

    @property
    def ceiling(self) -> np.ndarray[tuple[int, ...], np.dtype[np.str_]]:
        """The name of the longest part: tables (the memory that has them), device (its layers), network or launches."""
        device_s = self.product_s + self.pass_s
        parts = np.stack(np.broadcast_arrays(self.lookup_s, device_s, self.exchange_s, self.launch_s))
        return np.asarray(np.array(["tables", "device", "network", "launches"])[np.argmax(parts, axis=0)])


def dense_flops(model: Ranker) -> float:
    """Return the FLOPs of a sample's layers and interactions, forward; training takes three times as many.

    Source: Naumov et al., "Deep learning recommendation model", arXiv 1906.00091, section 2.
    """
    return sum(2.0 * inner * out for inner, out in model.layers) + model.pair_flops


def dense_step_s(
    model: Ranker, batch: ArrayLike, device: Device, *, training: bool, activation_bytes: float, passes: float
) -> tuple[Floats, Floats]:
    """Return the seconds of (products, passes over memory) of all dense layers for `batch` samples of one device.

    passes: how often each number between layers is read or written, forward; backward does so twice as often. Source:
    products by shape as in `roofline`; passes over memory at its rate.
    """
    n = at_least("batch", batch, 1.0)
    total_s = np.zeros_like(n)
    for inner, out in model.layers:
        total_s = total_s + gemm_time_s(n, out, inner, device)
        if training:
            # Gradients of weights are small and as deep as the batch: their depth is divided over the device.
            splits = np.maximum(n / _SPLIT_DEPTH, 1.0)
            weights_s = gemm_time_s(out * splits, inner, n / splits, device)
            total_s = total_s + gemm_time_s(n, inner, out, device) + weights_s
    times = 3.0 if training else 1.0
    paired_s = times * n * model.pair_flops / device.gemm_flops
    passed_s = times * passes * n * model.activations * activation_bytes / device.pass_bytes_per_s
    return np.asarray(total_s + paired_s), np.asarray(passed_s)


def step_time(
    model: Ranker,
    batch: ArrayLike,
    devices: ArrayLike,
    device: Device,
    fabric: Fabric,
    *,
    optimiser: str | None,
    split_tables: bool,
    gather_bytes_per_s: float,
    launch_s: float,
    activation_bytes: float = 4.0,
    number_bytes: float = 4.0,
    passes: float = 2.0,
    row_s: float = 0.0,
) -> StepTime:
    """Return the parts of a step over `batch` samples on all devices together.

    optimiser: a key of OPTIMISERS; None for inference. split_tables: every device has a part of the tables and rows
    travel; otherwise each has all of them, and gradients of tables are reduced with the rest and applied whole.
    gather_bytes_per_s: at which rows are read where the tables are. launch_s: of a step's kernels, whatever the batch.
    row_s: that a row takes beyond its bytes where nothing hides how late memory answers; an update takes it twice more.
    Whole tables are dealt to devices, and the device with most of them is waited for.
    Source: as of its parts; Mudigere et al., ISCA 2022, section 3, of the order.
    """
    p, n = at_least("devices", devices, 1.0), at_least("batch", batch, 1.0)
    own, training = n / p, optimiser is not None
    moved = own * lookup_bytes(
        model.values,
        model.pooled,
        number_bytes=number_bytes,
        activation_bytes=activation_bytes,
        optimiser=optimiser if split_tables else (None if not training else "sgd"),
    )
    uneven = np.ceil(model.tables / p) * p / model.tables if split_tables else np.ones_like(p)
    reached_s = own * model.rows * row_s * (3.0 if training else 1.0)
    lookup_s = uneven * (moved / gather_bytes_per_s + reached_s)
    exchange_s = np.zeros_like(lookup_s)
    reduced = model.dense_parameters
    if split_tables:
        one_s = pooled_exchange_s(
            p,
            n,
            model.pooled,
            number_bytes=activation_bytes,
            near=fabric.near,
            near_alpha_s=fabric.near_alpha_s,
            near_bytes_per_s=fabric.near_bytes_per_s,
            far_alpha_s=fabric.far_alpha_s,
            far_bytes_per_s=fabric.far_bytes_per_s,
        )
        exchange_s = one_s * uneven * (2.0 if training else 1.0)
    elif training:
        reduced = reduced + model.table_parameters
        state = 3.0 + 2.0 * OPTIMISERS[optimiser or "sgd"]  # gradient read, number and state read and written
        lookup_s = lookup_s + model.table_parameters * 4.0 * state / device.pass_bytes_per_s
    if training:
        crowded = p > fabric.near
        beta = np.where(crowded, 1.0 / fabric.far_bytes_per_s, 1.0 / fabric.near_bytes_per_s)
        alpha = np.where(crowded, fabric.far_alpha_s, fabric.near_alpha_s)
        reduce_s = all_reduce_time_s(p, reduced * activation_bytes, alpha, beta)
        exchange_s = exchange_s + np.where(p > 1.0, reduce_s, 0.0)
    product_s, pass_s = dense_step_s(
        model, own, device, training=training, activation_bytes=activation_bytes, passes=passes
    )
    shape = np.broadcast_shapes(np.shape(n), np.shape(p))
    parts = (lookup_s, pass_s, product_s, exchange_s, launch_s)
    return StepTime(*(np.broadcast_to(np.asarray(part, dtype=np.float64), shape) for part in parts))
