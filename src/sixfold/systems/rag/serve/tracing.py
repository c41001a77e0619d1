"""W3C Trace Context: the caller's trace goes on through us (https://www.w3.org/TR/trace-context/)."""

from __future__ import annotations

from contextvars import ContextVar

from opentelemetry import trace
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

__all__ = ["begin_span", "trace_id"]

_current: ContextVar[trace.SpanContext | None] = ContextVar("sixfold_span", default=None)
_ids, _propagator = RandomIdGenerator(), TraceContextTextMapPropagator()


def begin_span(traceparent: str | None, tracestate: str | None = None) -> str:
    """Begin our part of the caller's trace, or a new one if that header is missing or malformed; its traceparent."""
    carrier = {key: value for key, value in (("traceparent", traceparent), ("tracestate", tracestate)) if value}
    caller = trace.get_current_span(_propagator.extract(carrier)).get_span_context()
    known = caller.is_valid
    span = trace.SpanContext(
        trace_id=caller.trace_id if known else _ids.generate_trace_id(),
        span_id=_ids.generate_span_id(),
        is_remote=False,
        trace_flags=caller.trace_flags if known else trace.TraceFlags(trace.TraceFlags.SAMPLED),
        trace_state=caller.trace_state,
    )
    _current.set(span)
    return _header(span)


def trace_id() -> str | None:
    """The trace of the request in hand, for logs and error messages."""
    span = _current.get()
    return f"{span.trace_id:032x}" if span is not None else None


def _header(span: trace.SpanContext) -> str:
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}"
