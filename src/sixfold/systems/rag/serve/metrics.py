"""What a gateway counts, for Prometheus."""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

__all__ = ["GatewayMetrics"]

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class GatewayMetrics:
    """One gateway's metrics, in a registry of their own. No label takes its value from a request's content."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, of use to nobody here
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "sixfold_requests_total", "Requests by route and status.", ["route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "sixfold_request_seconds",
            "From arrival to the last byte.",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.steps = Histogram(
            "sixfold_step_seconds",
            "Time in each step of an answer.",
            ["step"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.answers = Counter("sixfold_answers_total", "Answers by mode.", ["mode"], registry=self.registry)
        self.degraded = Counter(
            "sixfold_degraded_total", "Steps left out for want of time.", ["step"], registry=self.registry
        )
        self.refused = Counter("sixfold_refused_total", "Requests refused for overload.", registry=self.registry)
        self.cancelled = Counter("sixfold_cancelled_total", "Requests whose client went away.", registry=self.registry)
        self.shards_lost = Counter(
            "sixfold_shards_lost_total", "Shards missing from an answer.", ["shard", "state"], registry=self.registry
        )
        self.hedged = Gauge("sixfold_hedged_requests", "Second requests to a replica so far.", registry=self.registry)
        self.waiting = Gauge("sixfold_waiting_requests", "Requests in the line.", registry=self.registry)
        self.running = Gauge(
            "sixfold_running_requests", "Requests that are being retrieved for.", registry=self.registry
        )
        self.generation = Gauge("sixfold_index_generation", "The generation in use.", registry=self.registry)
        self.lag = Gauge(
            "sixfold_generation_lag_seconds", "From its publication until it was in use.", registry=self.registry
        )
        self.cache = Counter("sixfold_cache_total", "Retrieval cache by outcome.", ["outcome"], registry=self.registry)

    def render(self) -> bytes:
        """All of them in the text format."""
        return generate_latest(self.registry)
