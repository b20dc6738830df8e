"""What `/metrics` shows, in Prometheus' words: counts and times, never texts."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

TYPE = CONTENT_TYPE_LATEST
NAME = "flywheel_collector"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class Metrics:
    """The figures of one collector."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(f"{NAME}_requests", "Requests answered.", ["route", "status"], registry=self._registry)
        self.records = Counter(
            f"{NAME}_records",
            "Records by what became of them: accepted, rejected, or ignored (spans that hold no answer of a model).",
            ["route", "outcome"],
            registry=self._registry,
        )
        self.request_seconds = Histogram(
            f"{NAME}_request_seconds", "From header to answer.", ["route"], buckets=SECONDS, registry=self._registry
        )
        self.write_seconds = Histogram(
            f"{NAME}_write_seconds",
            "Writing and fsync of what several requests brought.",
            buckets=SECONDS,
            registry=self._registry,
        )
        self.spool_bytes = Gauge(f"{NAME}_spool_bytes", "Bytes that wait for collect.", registry=self._registry)

    def text(self) -> bytes:
        return generate_latest(self._registry)
