"""Laws of embedding tables: what they hold, what a lookup moves, which lookups a cache answers, what devices exchange.

A sample asks `values` numbers of the tables (the widths of all rows that it looks up, multi-hot ones each) and has
`pooled` of them left once the rows of a table are summed. Tables are whole on some device, or split; either way pooled
rows travel to the device that has the sample, and their gradients back.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from sixfold.design.checks import Floats, at_least, positive, within
from sixfold.design.laws.communication import all_to_all_time_s

__all__ = ["OPTIMISERS", "cache_hit_share", "lookup_bytes", "pooled_exchange_s", "table_bytes"]

# Numbers of state that an optimiser keeps beside each number of a table; row-wise ones keep one a row instead.
OPTIMISERS = {"sgd": 0.0, "adagrad": 1.0, "rowwise-adagrad": 0.0, "adam": 2.0}


def table_bytes(
    parameters: ArrayLike, width: ArrayLike, *, number_bytes: ArrayLike = 4.0, optimiser: str | None = None
) -> Floats:
    """Return the bytes of tables of so many parameters in rows of `width`, with what their optimiser keeps.

    optimiser: a key of OPTIMISERS, whose state is in 32 bit; None where nothing is trained. Raises ValueError for
    another. Source: Naumov et al., "Deep learning recommendation model", arXiv 1906.00091, section 2; row-wise Adagrad:
    Gupta et al., "Training recommender systems at scale", arXiv 2010.11305.
    """
    if optimiser is not None and optimiser not in OPTIMISERS:
        raise ValueError(f"got optimiser {optimiser!r}, expected one of {', '.join(OPTIMISERS)}")
    count, wide = at_least("parameters", parameters, 0.0), positive("width", width)
    held = count * positive("number_bytes", number_bytes)
    if optimiser is None:
        return np.asarray(held)
    state = OPTIMISERS[optimiser] + (1.0 / wide if optimiser == "rowwise-adagrad" else 0.0)
    return np.asarray(held + 4.0 * state * count)


def lookup_bytes(
    values: ArrayLike,
    pooled: ArrayLike,
    *,
    number_bytes: ArrayLike = 4.0,
    activation_bytes: ArrayLike = 4.0,
    optimiser: str | None = None,
) -> Floats:
    """Return the bytes that a sample's lookups read and write where the tables are.

    Forward: rows read, pooled ones written. Training adds the gradient of pooled rows, read, and each row and its
    state, read and written: nothing is updated twice. Source: Naumov et al. 2019, section 3.1, of its passes.
    """
    rows, left = at_least("values", values, 0.0), at_least("pooled", pooled, 0.0)
    size, narrow = positive("number_bytes", number_bytes), positive("activation_bytes", activation_bytes)
    forward = rows * size + left * narrow
    if optimiser is None:
        return np.asarray(forward)
    return np.asarray(forward + left * narrow + 2.0 * rows * (size + 4.0 * OPTIMISERS[optimiser]))


def cache_hit_share(cached_share: ArrayLike, skew: ArrayLike) -> Floats:
    """Return the share of lookups that the hottest rows answer: f^(1 - s) for a share f of many rows.

    skew: exponent s of Zipf's law by which rows are asked for, from 0 (all alike) to below 1. Source: the continuous
    form of Breslau et al., "Web caching and Zipf-like distributions", INFOCOM 1999, section 4.
    """
    share = within("cached_share", cached_share, 0.0, 1.0)
    exponent = 1.0 - within("skew", skew, 0.0, 1.0)
    return np.asarray(np.where(share > 0.0, np.power(np.maximum(share, 1e-300), exponent), 0.0))


def pooled_exchange_s(
    devices: ArrayLike,
    batch: ArrayLike,
    pooled: ArrayLike,
    *,
    number_bytes: ArrayLike = 4.0,
    near: ArrayLike = np.inf,
    near_alpha_s: ArrayLike = 0.0,
    near_bytes_per_s: ArrayLike = np.inf,
    far_alpha_s: ArrayLike = 0.0,
    far_bytes_per_s: ArrayLike = np.inf,
) -> Floats:
    """Return the seconds in which pooled rows get to their samples; gradients take as long on their way back.

    batch: samples of all devices together. near: devices that share fast links, near_*; what goes beyond them goes
    through a device's port, far_*, at the same time, and the slower of both decides. An all-to-all of batch / devices x
    pooled numbers a device. Source: `all_to_all_time_s`; Mudigere et al., "Software-hardware co-design for fast and
    scalable training of DLRM", ISCA 2022, section 4.
    """
    p, n = at_least("devices", devices, 1.0), at_least("batch", batch, 0.0)
    held = n / p * at_least("pooled", pooled, 0.0) * positive("number_bytes", number_bytes)
    within_s = np.minimum(p, at_least("near", near, 1.0))
    inner_s = all_to_all_time_s(within_s, held * within_s / p, near_alpha_s, 1.0 / positive("rate", near_bytes_per_s))
    away = held * (p - within_s) / p
    outer_s = np.where(
        p > within_s, (p / within_s - 1.0) * np.asarray(far_alpha_s) + away / positive("rate", far_bytes_per_s), 0.0
    )
    return np.asarray(np.where(p > 1.0, np.maximum(inner_s, outer_s), 0.0))
