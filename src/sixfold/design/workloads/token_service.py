"""Replicas of a language model under a load of requests: memory, rate, time to the first token and between tokens.

A replica runs decoding steps for all requests of its batch and, between them, the prefills of new ones, as continuous
batching does (Yu et al., "Orca", OSDI 2022). Times are rooflines (Williams et al., CACM 52(4), 2009) with shares of the
peak that are assumed here: prefill is bound by arithmetic, decoding by reading weights and keys and values.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sixfold.design.checks import Floats
from sixfold.design.laws.communication import all_reduce_time_s
from sixfold.design.laws.queueing import response_quantile_s
from sixfold.design.laws.transformer import Transformer, active_parameters, forward_flops_per_token, parameters

__all__ = ["Requests", "Service", "serve"]

_PREFILL_SHARE = 0.5  # assumed: of the peak FLOP/s
_MEMORY_SHARE = 0.7  # assumed: of the peak bytes/s
_STEP_S = 0.003  # assumed: of a step's launches and its scheduler
_USABLE = 0.9  # of a device's memory; the rest is the runtime's
_QUANTILE = 0.99
_MOST_BUSY = 0.999


@dataclass(frozen=True, slots=True)
class Requests:
    """What is asked: requests/s of all replicas together, tokens read and written by each, share of the prompt "
    "cached."""

    per_s: Floats
    prompt_tokens: Floats
    answer_tokens: Floats
    cached_share: Floats


@dataclass(frozen=True, slots=True)
class Service:
    """One replica, arrays of one element a design.

    memory_bytes: on each device. capacity_per_s: requests. first_token_s: 99th percentile, in line and in prefill.
    token_s: mean time between tokens at the load. request_s: mean time of a whole request. prefill_s, decode_s,
    exchange_s: of one request's share of the replica's time.
    """

    memory_bytes: Floats
    capacity_per_s: Floats
    first_token_s: Floats
    token_s: Floats
    request_s: Floats
    prefill_s: Floats
    decode_s: Floats
    exchange_s: Floats


def serve(
    model: Transformer,
    asked: Requests,
    *,
    tensor: Floats,
    batch: Floats,
    replicas: Floats,
    weight_bytes: Floats,
    flops: Floats,
    memory_bytes_per_s: Floats,
    scale_up_bytes_per_s: Floats,
    alpha_s: float,
) -> Service:
    """What replicas of `tensor` devices with at most `batch` requests each do for the requests that are asked.

    weight_bytes: of a parameter. flops, memory_bytes_per_s: peak of a device. scale_up_bytes_per_s: between the devices
    of a replica. Beyond its capacity a replica's waiting is infinite.
    """
    context = asked.prompt_tokens + asked.answer_tokens / 2.0
    kv_bytes = 4.0 * model.layers * model.kv_heads * model.head_dim  # keys and values of a token in 16 bit
    weights = parameters(model) * weight_bytes / tensor
    held = batch * (asked.prompt_tokens + asked.answer_tokens) * kv_bytes / np.minimum(tensor, model.kv_heads)
    hidden_bytes = 2.0 * model.hidden

    def exchanged_s(tokens: Floats) -> Floats:
        one = all_reduce_time_s(tensor, np.maximum(tokens * hidden_bytes, 1.0), alpha_s, 1.0 / scale_up_bytes_per_s)
        return np.asarray(np.where(tensor > 1, 2.0 * model.layers * one, 0.0))

    fresh = asked.prompt_tokens * (1.0 - asked.cached_share)
    prefill_exchange_s = exchanged_s(fresh)
    prefill_s = fresh * forward_flops_per_token(model) / (_PREFILL_SHARE * flops * tensor) + _STEP_S
    # A batch touches more experts the larger it is; a dense model is all touched by one request.
    dense = active_parameters(model) / parameters(model)
    touched = 1.0 - (1.0 - dense) ** batch
    read_bytes = (weights * touched + batch * context * kv_bytes / np.minimum(tensor, model.kv_heads)) / _MEMORY_SHARE
    arithmetic_s = batch * 2.0 * active_parameters(model) / (_PREFILL_SHARE * flops * tensor)
    step_s = np.maximum(read_bytes / memory_bytes_per_s, arithmetic_s) + _STEP_S
    step_exchange_s = exchanged_s(batch)
    exchange_s = prefill_exchange_s + asked.answer_tokens * step_exchange_s / batch
    decode_s = asked.answer_tokens * step_s / batch
    own_s = prefill_s + decode_s + exchange_s
    rate = asked.per_s / replicas
    capacity = 1.0 / own_s
    busy = np.minimum(rate / capacity, _MOST_BUSY)
    token_s = (step_s + step_exchange_s) / np.maximum(1.0 - busy * (prefill_s + prefill_exchange_s) / own_s, 1e-3)
    served_s = prefill_s + prefill_exchange_s + asked.answer_tokens * token_s
    waiting_s = response_quantile_s(_QUANTILE, busy * batch / served_s, served_s, batch, slow_service_s=0.0 * served_s)
    first = waiting_s + (prefill_s + prefill_exchange_s) * (
        1.0 + busy
    )  # a step or a prefill is under way when it comes
    return Service(
        memory_bytes=np.asarray((weights + held) / _USABLE),
        capacity_per_s=np.asarray(replicas * capacity),
        first_token_s=np.asarray(np.where(rate <= capacity, first, np.inf)),
        token_s=np.asarray(token_s),
        request_s=np.asarray(np.where(rate <= capacity, waiting_s + served_s, np.inf)),
        prefill_s=np.asarray(prefill_s + 0.0 * own_s),
        decode_s=np.asarray(decode_s + 0.0 * own_s),
        exchange_s=np.asarray(exchange_s + 0.0 * own_s),
    )
